"""What the input guard of the exported model flags: distances, which are kept in git, and the shares that follow."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from pneumo import files
from pneumo.data import manifest
from pneumo.errors import ManifestError
from pneumo.evaluation.metrics import rounded

COLUMNS = ("group", "image", "distance")
VALIDATION, TEST = (
    "validation",
    "test",
)  # the groups that are proper films; all others are what is made of them, or none
GROUPS: Mapping[str, str] = {  # key -> words, in the order of pages
    VALIDATION: "validation images, which set the limit",
    TEST: "test images",
    "mirrored": "test images, mirrored",
    "upside_down": "test images, upside down",
    "on_their_side": "test images, on their side",
    "inverted": "test images, inverted",
    "photographs": "photographs, of scikit-learn, in sections",
    "noise": "noise, from fine to coarse",
    "text": "text",
    "other_dicom": "DICOM that is no chest film: CT, MR, ultrasound, bone scans",
}


def to_text(table: pd.DataFrame) -> str:
    """COLUMNS as CSV, six significant digits: groups as GROUPS has them, images of a group in their order."""
    return table.loc[:, list(COLUMNS)].to_csv(index=False, float_format="%.6g", lineterminator="\n")


def write(table: pd.DataFrame, path: Path) -> None:
    files.write_text(path, to_text(table))


def read(path: Path) -> pd.DataFrame:
    """COLUMNS. Raises ManifestError where the file breaks the contract."""
    return parse(io.StringIO(path.read_text(encoding="utf-8")), str(path))


def parse(text: TextIO, where: str) -> pd.DataFrame:
    """COLUMNS. Raises ManifestError, which names `where`, if it breaks the contract."""
    table = pd.read_csv(text, dtype={"group": str, "image": str}, keep_default_na=False)
    manifest.require_columns(table, COLUMNS, where)
    table = table.assign(distance=pd.to_numeric(table["distance"], errors="coerce").astype(float))
    for broken, problem in (
        (~table["group"].isin(list(GROUPS)), f"is of a group that is none of {', '.join(GROUPS)}"),
        (table.duplicated(["group", "image"]), "is listed twice in its group"),
        (~(table["distance"] >= 0), "has a distance that is not a number of at least 0"),
    ):
        if broken.any():
            raise ManifestError(f"{where}: {table.loc[broken, 'image'].iloc[0]} {problem}")
    return table.loc[:, list(COLUMNS)]


def measure(table: pd.DataFrame, limit: float) -> dict[str, Any]:
    """`limit`, and of each group `n`, how many images it has, and `flagged`, the share of them that lies beyond it."""
    groups = {group: table.loc[table["group"] == group, "distance"] for group in GROUPS}
    return {
        "limit": limit,
        "groups": {
            group: {"n": len(distances), "flagged": rounded(float((distances > limit).mean()))}
            for group, distances in groups.items()
            if len(distances)
        },
    }
