"""Suspected labels: the audit's list of them, kept in git, and a model's metrics on the test images that it leaves."""

import hashlib
import io
from collections.abc import Collection
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from pneumo import files
from pneumo.data import manifest
from pneumo.errors import ManifestError
from pneumo.evaluation import metrics
from pneumo.evaluation.drawn import Drawn

COLUMNS = ("image", "patient", "label", "split", "probability")
GROUP = "without_suspected_labels"  # of metrics/NAME.json
KEYS = ("accuracy", "recall", "specificity", "precision", "f1", "roc_auc")
NAMED = 5  # images that metrics/data.json names; the list has all


def to_text(suspects: pd.DataFrame) -> str:
    """The list as CSV: COLUMNS, sorted by image, six significant digits.

    probability: of the given label, by a classifier that never saw the patient.
    """
    ordered = suspects.sort_values("image").loc[:, list(COLUMNS)]
    return ordered.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def write(suspects: pd.DataFrame, path: Path) -> None:
    files.write_text(path, to_text(suspects))


def read(path: Path) -> pd.DataFrame:
    """The list at `path`, COLUMNS. Raises ManifestError where it is missing or breaks the contract."""
    if not path.is_file():
        raise ManifestError(f"{path} is missing: run `dvc repro audit`")
    return parse(io.StringIO(path.read_text(encoding="utf-8")), str(path))


def parse(text: TextIO, where: str) -> pd.DataFrame:
    """COLUMNS of a list, which may be empty. Raises ManifestError, which names `where`, if it breaks the contract."""
    table = pd.read_csv(text, dtype={"image": str, "patient": str, "split": str}, keep_default_na=False)
    manifest.require_columns(table, COLUMNS, where)
    table = table.assign(probability=pd.to_numeric(table["probability"], errors="coerce").astype(float))
    for broken, problem in (
        (table["image"].duplicated(), "is listed twice"),
        (~table["label"].isin([0, 1]), "has a label that is neither 0 nor 1"),
        (~table["split"].isin(manifest.SPLITS), f"has a split that is none of {', '.join(manifest.SPLITS)}"),
        (~table["probability"].between(0, 1), "has a probability that is not in [0, 1]"),
    ):
        if broken.any():
            raise ManifestError(f"{where}: {table.loc[broken, 'image'].iloc[0]} {problem}")
    return table.loc[:, list(COLUMNS)]


def summary(suspects: pd.DataFrame) -> dict[str, Any]:
    """What metrics/data.json says of the list. first: the least likely labels. sha256: of the list as it is written."""
    return {
        "images": len(suspects),
        **_by_label(suspects),
        "in_test": int((suspects["split"] == "test").sum()),
        "first": suspects.sort_values(["probability", "image"])["image"].head(NAMED).tolist(),
        "sha256": hashlib.sha256(to_text(suspects).encode()).hexdigest(),
    }


def without(table: pd.DataFrame, threshold: float, suspected: Collection[str]) -> dict[str, Any]:
    """KEYS on the images of `table` that are not `suspected`; how many these are, and how many are left out by label.

    `table`: scores.COLUMNS of the test set. Leaving out what a model finds odd flatters every model: nothing is chosen
    by these figures.
    """
    left_out = table["image"].isin(suspected)
    values = metrics.values(Drawn.of(table[~left_out], threshold), "decision", "ranking")
    return {
        "images": int((~left_out).sum()),
        "left_out": _by_label(table[left_out]),
        **{key: values[key] for key in KEYS},
    }


def _by_label(table: pd.DataFrame) -> dict[str, int]:
    return {name: int((table["label"] == label).sum()) for label, name in enumerate(("normal", "pneumonia"))}
