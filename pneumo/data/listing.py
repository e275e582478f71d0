"""What a source leaves for preprocess in data/raw: its images, packed into shards (pneumo.shards), and two tables.

images.csv has one row for each image that the source lists: its name in the shards, label (0 normal, 1 pneumonia),
subtype, patient, source_split (the official part: train, val, test, or empty where the source has none), and further
columns about it, such as view, age and sex. `rejected` is empty, or why the image cannot be used.

left_out.csv has one row for each file or table row that is not about this classification, with the reason.

Where images come from several sites, each leaves a folder like this, and Raw is all of them.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from pneumo.errors import ManifestError, SourceError

IMAGES, LEFT_OUT = "images.csv", "left_out.csv"
COLUMNS = ("image", "label", "subtype", "patient", "source_split", "rejected")
LEFT_OUT_COLUMNS = ("name", "reason")
LABELS = ("NORMAL", "PNEUMONIA")
ASIDE = "set aside: "  # begins the reason of an image that could be used and is not what was asked for
UNKNOWN = "unknown-"  # begins the patient of an image of which the source says nothing about its patient
ALONE = "image:"  # begins that of an image of a source that knows no patients at all: each image is taken for one
SITE = "site"  # the column that says which of several sites an image is from


@dataclass(frozen=True)
class Listed:
    """One row of images.csv; `details`: the further columns."""

    image: str
    label: int
    subtype: str
    patient: str
    source_split: str
    rejected: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """The folders that sources have left: `main`, and `sites`, name -> folder, of further ones.

    Without `sites` images are called as in `main`. With them each image has the column SITE, in which those of `main`
    are called `name`; and images and patients of the others begin with the name of their site, so that the patient 12
    of two hospitals is two people.
    """

    main: Path
    sites: Mapping[str, Path] = field(default_factory=dict)
    name: str = "main"

    @classmethod
    def of(cls, data: Path, name: str, sites: Sequence[str]) -> "Raw":
        """As the stages leave them below `data`."""
        return cls(data / "raw", {site: data / "sites" / site for site in sites}, name)

    def read(self) -> list[Listed]:
        """All images, sorted by name. Raises ManifestError like `read`, and where two would have one name."""
        if not self.sites:
            return read(self.main)
        images = [_at(self.name, image) for image in read(self.main)]
        for image in images:
            if image.image.split("/")[0] in self.sites:
                site = image.image.split("/")[0]
                raise ManifestError(
                    f"{self.main / image.image}: its folder has the name of the site {site!r}: give the site another "
                    "one, -S +data@sites.NAME=…"
                )
        for site, folder in self.sites.items():
            for image in read(folder):
                named = replace(image, image=f"{site}/{image.image}", patient=_patient_of(site, image.patient))
                images.append(_at(site, named))
        return sorted(images, key=lambda image: image.image)

    def path(self, image: str) -> Path:
        """Where the image that `read` calls `image` would lie, were the shards of its site unpacked beside them."""
        site, _, name = image.partition("/")
        return self.sites[site] / name if site in self.sites else self.main / image

    def left_out(self, named: int) -> dict[str, Any]:
        """How many files or rows were left out, in all and by reason, and the first `named` of their names."""
        rows = list(_rows(self.main / LEFT_OUT))
        for site, folder in self.sites.items():
            rows += [row | {"name": f"{site}/{row['name']}"} for row in _rows(folder / LEFT_OUT)]
        reasons = Counter(row["reason"] for row in rows)
        return {
            "files": len(rows),
            "reasons": dict(sorted(reasons.items())),
            "first": [row["name"] for row in rows[:named]],
        }


def _at(site: str, image: Listed) -> Listed:
    if SITE in image.details:
        raise ManifestError(
            f"the source of site {site!r} keeps a column {SITE!r}, which with several sites says where an image is "
            f"from: keep it under another name, as in columns.keep={{hospital: {SITE}}}"
        )
    return replace(image, details={SITE: site, **image.details})


def _patient_of(site: str, patient: str) -> str:
    for kind in (UNKNOWN, ALONE):
        if patient.startswith(kind):
            return f"{kind}{site}/{patient.removeprefix(kind)}"
    return f"{site}/{patient}"


def write(images: Sequence[Listed], left_out: Iterable[tuple[str, str]], raw: Path) -> None:
    """Write both tables into `raw`, sorted. Raises SourceError for a name that cannot be written into a table."""
    for image in images:
        if not image.image.isprintable() or any("\ud800" <= letter <= "\udfff" for letter in image.image):
            raise SourceError(f"the file name {image.image!a} is not UTF-8 or has control characters: rename it")
    details = list(dict.fromkeys(key for image in images for key in image.details))
    _write(raw / IMAGES, (*COLUMNS, *details), sorted(_cells(image, details) for image in images))
    _write(raw / LEFT_OUT, LEFT_OUT_COLUMNS, sorted([_printable(name), reason] for name, reason in left_out))


def read(raw: Path) -> list[Listed]:
    """The rows of images.csv, sorted by image. Raises ManifestError where there is none or it breaks its contract."""
    path = raw / IMAGES
    if not path.is_file():
        raise ManifestError(f"{path} is missing: run `dvc repro download`")
    images = []
    for row in _rows(path):
        missing = [column for column in COLUMNS if row.get(column) is None]
        if missing or row["label"] not in ("0", "1"):
            wrong = f"no column {missing[0]!r}" if missing else f"the label {row['label']!r}; expected 0 or 1"
            raise ManifestError(f"{path} has {wrong}: run `dvc repro --force download`")
        texts = {key: row[key] for key in COLUMNS if key != "label"}
        details = {key: value for key, value in row.items() if key not in COLUMNS}
        images.append(Listed(label=int(row["label"]), details=details, **texts))
    if not images:
        raise ManifestError(f"{path} lists no images: correct `data`, and run `dvc repro download`")
    if any(first.image >= second.image for first, second in pairwise(images)):
        raise ManifestError(f"{path}: images must be unique and sorted: run `dvc repro --force download`")
    return images


def counts(images: Iterable[Listed]) -> dict[str, int]:
    """Number of images of each part and class, as train/NORMAL; without an official part the class alone."""
    found = Counter("/".join(filter(None, (image.source_split, LABELS[image.label]))) for image in images)
    return dict(sorted(found.items()))


def _cells(image: Listed, details: Sequence[str]) -> list[str]:
    return [str(getattr(image, key)) for key in COLUMNS] + [image.details.get(key, "") for key in details]


def _printable(name: str) -> str:
    """Of a file that is not used: its name need only be readable."""
    return "".join(letter if letter.isprintable() else "?" for letter in name.encode("utf-8", "replace").decode())


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
