"""The table of images: one row per usable image, and what a file name says about its patient."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pneumo.errors import ManifestError

COLUMNS = ("image", "label", "subtype", "patient", "source_split", "split", "width", "height", "sha256")
REJECTED_COLUMNS = ("image", "reason")
SUBTYPES = ("normal", "bacterial", "viral", "unknown")
SPLITS = ("train", "val", "test")

# The number counts separately per prefix and per subtype: person1_virus_6 and person1_bacteria_1 are two children.
# With a coarser key, some patients of the real dataset would be on both sides of the official train/test border.
_PNEUMONIA = re.compile(r"person(\d+)_(bacteria|virus)_\d+(?:_\d+)?")
_NORMAL = re.compile(r"((?:NORMAL2-)?IM-\d+)-\d+(?:-\d+)?")
# The publishers' own scheme (Mendeley Data, rscbjbr9sj, version 3): CLASS-patient-image.
_PUBLISHERS = re.compile(r"(BACTERIA|VIRUS|NORMAL)-(\d+)-\d+")
_SUBTYPES = {"bacteria": "bacterial", "virus": "viral"}
UNKNOWN = "unknown-"  # begins the patient of an image whose name follows no rule


@dataclass(frozen=True)
class Identity:
    """What the path of an image says: label (0 normal, 1 pneumonia), subtype, patient, source_split."""

    image: str
    label: int
    subtype: str
    patient: str
    source_split: str


def identify(image: str) -> Identity:
    """Parse `image`, a path like `train/PNEUMONIA/person1_virus_6.jpeg`.

    A name that follows no rule, or that contradicts its folder, becomes a patient of its own, `unknown-<hash>`.
    """
    source_split, folder, name = image.split("/", 2)
    label = {"NORMAL": 0, "PNEUMONIA": 1}[folder]
    stem = name.rsplit(".", 1)[0]
    if label and (match := _PNEUMONIA.fullmatch(stem)):
        return Identity(image, label, _SUBTYPES[match[2]], f"{match[2]}-{int(match[1])}", source_split)
    if not label and (match := _NORMAL.fullmatch(stem)):
        return Identity(image, label, "normal", match[1], source_split)
    if (match := _PUBLISHERS.fullmatch(stem)) and label == (match[1] != "NORMAL"):
        subtype = _SUBTYPES[match[1].lower()] if label else "normal"
        return Identity(image, label, subtype, f"{match[1]}-{int(match[2])}", source_split)
    digest = hashlib.sha256(image.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return Identity(image, label, "unknown" if label else "normal", f"{UNKNOWN}{digest}", source_split)


def write(table: pd.DataFrame, path: Path) -> None:
    """Write `table`, which must be sorted by `image`. Raises ManifestError if it breaks its contract."""
    check(table, str(path))
    table.loc[:, list(COLUMNS)].to_csv(path, index=False, lineterminator="\n")


def read_manifest(path: Path) -> pd.DataFrame:
    """The manifest at `path`. Raises ManifestError if it breaks its contract."""
    if not path.is_file():
        raise ManifestError(f"{path} is missing: run `dvc repro preprocess`")
    table = pd.read_csv(path, dtype={"image": str, "patient": str, "sha256": str}, keep_default_na=False)
    check(table, str(path))
    return table


def check(table: pd.DataFrame, where: str) -> None:
    """Raise ManifestError unless `table` has the columns, values and order of the contract."""
    require_columns(table, COLUMNS, where)
    if not table["image"].is_monotonic_increasing or not table["image"].is_unique:
        raise ManifestError(f"{where}: images must be unique and sorted")
    for column, allowed in (("label", (0, 1)), ("subtype", SUBTYPES), ("split", SPLITS)):
        unknown = sorted(set(table[column]) - set(allowed), key=str)
        if unknown:
            raise ManifestError(f"{where}: {column} is {unknown[0]!r}; expected one of {allowed}")
    crossing = table.groupby("patient")["split"].nunique()
    if (crossing > 1).any():
        raise ManifestError(f"{where}: patient {crossing.idxmax()} is in more than one split")


def require_columns(table: pd.DataFrame, columns: Sequence[str], where: str) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ManifestError(f"{where} has no column {missing[0]!r}; expected {', '.join(columns)}")


def digest(path: Path) -> str:
    """SHA-256 of the manifest's bytes: it identifies the images, labels and splits that a number rests on."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
