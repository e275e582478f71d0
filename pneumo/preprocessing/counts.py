"""How many images there are, in which split and of which class, and what became of the files received."""

from typing import Any

import pandas as pd

from pneumo.data.listing import ALONE, UNKNOWN
from pneumo.data.manifest import SPLITS

EXCLUDED = "excluded by audit.exclude"  # the reason in rejected.csv
UNSAMPLED = "not in the sample of data.subset="


def received(manifest: pd.DataFrame, rejected: pd.DataFrame, subset: int | None) -> dict[str, Any]:
    """What became of the files received. rejected: the table in rejected.csv; subset: the value of data.subset."""
    excluded = rejected["reason"] == EXCLUDED
    unsampled = rejected["reason"].str.startswith(UNSAMPLED)
    unreadable = int((~excluded & ~unsampled).sum())
    asked = len(manifest) + unreadable
    return {
        "subset": {"asked": subset, "images": asked, "of": asked + int(unsampled.sum())} if subset else None,
        "received": len(manifest) + len(rejected),
        "excluded": int(excluded.sum()),
        "rejected": unreadable,
    }


def usable(manifest: pd.DataFrame) -> dict[str, Any]:
    """Images and patients by split, class and subtype; patients that are not known, images of sources without any."""
    return {
        "images": len(manifest),
        "patients": int(manifest["patient"].nunique()),
        "unknown_patients": int(manifest["patient"].str.startswith(UNKNOWN).sum()),
        "images_without_patients": int(manifest["patient"].str.startswith(ALONE).sum()),
        "splits": {split: of_split(manifest[manifest["split"] == split]) for split in SPLITS},
    }


def of_split(table: pd.DataFrame) -> dict[str, int]:
    """Counts of one split, from its rows with patient, label and subtype."""
    pneumonia = int(table["label"].sum())
    return {
        "images": len(table),
        "patients": int(table["patient"].nunique()),
        "normal": len(table) - pneumonia,
        "pneumonia": pneumonia,
        "bacterial": int((table["subtype"] == "bacterial").sum()),
        "viral": int((table["subtype"] == "viral").sum()),
        "unknown_subtype": int((table["subtype"] == "unknown").sum()),
    }
