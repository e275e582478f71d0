"""The table of images: one row per usable image. Columns of the source's own, such as view and age, come last."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pneumo.errors import ManifestError

COLUMNS = ("image", "label", "subtype", "patient", "source_split", "split", "width", "height", "sha256")
REJECTED_COLUMNS = ("image", "reason")
SUBTYPES = ("normal", "bacterial", "viral", "unknown")
SPLITS = ("train", "val", "test")


def write(table: pd.DataFrame, path: Path) -> None:
    """Write `table`, which must be sorted by `image`. Raises ManifestError if it breaks its contract."""
    check(table, str(path))
    details = [column for column in table.columns if column not in COLUMNS]
    table.loc[:, [*COLUMNS, *details]].to_csv(path, index=False, lineterminator="\n")


def read_manifest(path: Path) -> pd.DataFrame:
    """The manifest at `path`. Raises ManifestError if it breaks its contract."""
    if not path.is_file():
        raise ManifestError(f"{path} is missing: run `dvc repro preprocess`")
    return parse(path.read_bytes(), str(path))


def parse(content: bytes, where: str) -> pd.DataFrame:
    """The manifest whose file holds `content`. Raises ManifestError, which names `where`, if it breaks its contract."""
    try:
        table = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
        require_columns(table, COLUMNS, where)
        table = table.astype({"label": int, "width": int, "height": int})
    except (ValueError, OverflowError) as error:
        raise ManifestError(f"{where} is no manifest: {error}") from None
    check(table, where)
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


def truth(label: int, subtype: str) -> str:
    """For people: normal, pneumonia, or with what is known of it, as bacterial pneumonia."""
    if not label:
        return "normal"
    return "pneumonia" if subtype in ("unknown", "normal") else f"{subtype} pneumonia"


def digest(path: Path) -> str:
    """SHA-256 of the manifest's bytes: it identifies the images, labels and splits that a number rests on."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
