"""Raw files -> packed pixels, manifest and rejected.csv."""

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pneumo.data import listing, manifest, packed
from pneumo.data.listing import Listed, Raw
from pneumo.errors import ImageRejected, TooManyRejected
from pneumo.preprocessing import copies, counts, headers, images, splits
from pneumo.preprocessing import views as film_views
from pneumo.shards import Films

if TYPE_CHECKING:
    from pneumo.params import Split

AHEAD = 64  # images that are decoded before they can be written


def preprocess(
    raw: Raw,
    out: Path,
    *,
    image_size: int,
    max_rejected: float,
    split: "Split",
    fit: images.Fit = "stretch",
    views: Sequence[str] | None = None,
    patient_key: Path | None = None,
    subset: int | None = None,
    allow: Sequence[str] = (),
    exclude: Sequence[str] = (),
    elsewhere: bool = False,
    threads: int | None = None,
) -> dict[str, Any]:
    """Fill `out` with images.npy, rejected.csv and, once all else has succeeded, manifest.csv; return the counts.

    Every image of `raw` is in the manifest or in rejected.csv. fit: how a film becomes a square; views: of
    which films are taken, besides those that do not say, None takes all; patient_key: the file of the key for patients
    of DICOM; exclude: names of images to leave out; allow: images whose copies may be in another split; elsewhere:
    whether these are another hospital's images, of which all are test images; threads: None chooses. Raises
    TooManyRejected if more than the share `max_rejected` of the images cannot be used; SplitError if more than the
    share split.max_unknown_patients of the names gives no patient, if a patient would be in two splits or a split would
    lack a class; AuditError if an image would be in two splits or if `allow` or `exclude` names a file that is not
    there; PatientKeyError and MissingExtra for DICOM without what it needs.
    """
    listed = raw.read()
    if elsewhere:
        listed = [replace(image, source_split="test") for image in listed]
    names = [image.image for image in listed]
    copies.refuse_unknown(allow, names, "audit.allow")
    copies.refuse_unknown(exclude, names, "audit.exclude")
    films = Films(raw)
    described = headers.described(films, [image for image in listed if image.image not in exclude], patient_key)
    described = film_views.set_aside(described, views)
    aside = [(image.image, image.rejected) for image in described if image.rejected.startswith(listing.ASIDE)]
    wanted = [image for image in described if not image.rejected.startswith(listing.ASIDE)]
    if not wanted and aside:
        raise TooManyRejected(f"all {len(aside)} images are set aside. The first:\n{_lines(aside)}")
    splits.refuse_unknown_patients(wanted, split.max_unknown_patients)
    splits.refuse_leak(wanted, split)
    sampled = splits.sample(wanted, subset, split) if subset else {image.image for image in wanted}
    todo = [image for image in wanted if image.image in sampled]

    out.mkdir(parents=True, exist_ok=True)
    for name in ("images.npy", "rejected.csv", "manifest.csv"):
        (out / name).unlink(missing_ok=True)  # a failure must not leave an old manifest beside new pixels
    rows, unreadable = _pack(films, todo, out / "images.npy", image_size, fit, threads)
    _refuse_many(unreadable, len(todo), max_rejected)
    table = pd.DataFrame(rows).fillna("")  # of a detail that only some images have
    usable = set(table["image"])
    used = [image for image in todo if image.image in usable]
    table["split"] = splits.elsewhere(used) if elsewhere else splits.assign(used, split)
    copies.refuse_across_splits(copies.find(table, np.load(out / "images.npy", mmap_mode="r")), allow, exclude)
    unsampled = [(image.image, f"{counts.UNSAMPLED}{subset}") for image in wanted if image.image not in sampled]
    left_out = [*unreadable, *aside, *unsampled, *((image, counts.EXCLUDED) for image in set(exclude))]
    rejected = pd.DataFrame(sorted(left_out), columns=list(manifest.REJECTED_COLUMNS))
    rejected.to_csv(out / "rejected.csv", index=False, lineterminator="\n")
    manifest.write(table, out / "manifest.csv")
    return counts.received(table, rejected, subset) | counts.usable(table)


def _pack(
    films: Films, todo: Sequence[Listed], path: Path, size: int, fit: images.Fit, threads: int | None
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    rows: list[dict[str, Any]] = []
    unreadable: list[tuple[str, str]] = []
    with packed.Writer(path, size) as writer:
        for image, result in zip(todo, _decode(films, todo, size, fit, threads), strict=True):
            if isinstance(result, str):
                unreadable.append((image.image, result))
                continue
            writer.append(result.pixels)
            rows.append(_row(image, result))
    return rows, unreadable


def _row(image: Listed, radiograph: images.Radiograph) -> dict[str, Any]:
    says = {key: getattr(image, key) for key in ("image", "label", "subtype", "patient", "source_split")}
    found = {"width": radiograph.width, "height": radiograph.height, "sha256": radiograph.sha256}
    return says | found | dict(image.details)


def _decode(
    films: Films, todo: Sequence[Listed], size: int, fit: images.Fit, threads: int | None
) -> Iterator[images.Radiograph | str]:
    """Decode in order, a few images ahead. Threads will do: Pillow decodes and resizes without Python's global lock."""
    with ThreadPoolExecutor(threads) as pool:
        decoding: deque[Future[images.Radiograph | str]] = deque()
        for image in _with_bar(todo):
            decoding.append(pool.submit(_read, films, image, size, fit))
            if len(decoding) == AHEAD:
                yield decoding.popleft().result()
        while decoding:
            yield decoding.popleft().result()


def _with_bar(todo: Sequence[Listed]) -> Iterable[Listed]:
    if not sys.stderr.isatty():
        return todo
    from rich.console import Console
    from rich.progress import track

    return track(todo, "images", console=Console(stderr=True))


def _read(films: Films, image: Listed, size: int, fit: images.Fit) -> images.Radiograph | str:
    try:
        if image.rejected:
            return image.rejected
        images.refuse_large(films.size(image.image))
        return images.decode(films.read(image.image), size, fit=fit)
    except ImageRejected as error:
        return str(error)


def _refuse_many(unreadable: list[tuple[str, str]], total: int, max_rejected: float) -> None:
    if len(unreadable) <= max_rejected * total and len(unreadable) < total:
        return
    raise TooManyRejected(
        f"{len(unreadable)} of {total} images cannot be read; preprocess.max_rejected allows {max_rejected:.2%}. "
        f"The first:\n{_lines(unreadable)}\nRepair or remove them, or raise preprocess.max_rejected."
    )


def _lines(rejected: list[tuple[str, str]]) -> str:
    return "\n".join(f"  {image}: {reason}" for image, reason in rejected[:5])
