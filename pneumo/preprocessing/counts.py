"""How many images there are, in which split and of which class, and what became of the files received."""

from typing import Any

import pandas as pd

from pneumo.data.listing import ALONE, ASIDE, SITE, UNKNOWN
from pneumo.data.manifest import SPLITS
from pneumo.preprocessing.views import CHEST, view_of

EXCLUDED = "excluded by audit.exclude"  # the reason in rejected.csv
UNSAMPLED = "not in the sample of data.subset="


def received(manifest: pd.DataFrame, rejected: pd.DataFrame, subset: int | None) -> dict[str, Any]:
    """What became of the files received. rejected: the table in rejected.csv; subset: the value of data.subset."""
    excluded = rejected["reason"] == EXCLUDED
    unsampled = rejected["reason"].str.startswith(UNSAMPLED)
    aside = rejected["reason"].str.startswith(ASIDE)
    unreadable = int((~excluded & ~unsampled & ~aside).sum())
    asked = len(manifest) + unreadable
    return {
        "subset": {"asked": subset, "images": asked, "of": asked + int(unsampled.sum())} if subset else None,
        "received": len(manifest) + len(rejected),
        "excluded": int(excluded.sum()),
        "rejected": unreadable,
        "set_aside": {
            "images": int(aside.sum()),
            "reasons": _counted(rejected.loc[aside, "reason"].str.removeprefix(ASIDE)),
        },
    }


def usable(manifest: pd.DataFrame) -> dict[str, Any]:
    """Images and patients by split, class and subtype, and by site where there are several; patients that are not
    known, images of sources without any; views and body parts as far as the source or the DICOM headers say them.
    """
    parts = manifest["body_part"].str.upper() if "body_part" in manifest else pd.Series(dtype=str)
    return {
        "images": len(manifest),
        "patients": int(manifest["patient"].nunique()),
        "unknown_patients": int(manifest["patient"].str.startswith(UNKNOWN).sum()),
        "images_without_patients": int(manifest["patient"].str.startswith(ALONE).sum()),
        "splits": {split: of_split(manifest[manifest["split"] == split]) for split in SPLITS},
        "sites": {str(site): of_split(rows) for site, rows in manifest.groupby(SITE)} if SITE in manifest else {},
        "views": _counted(manifest["view"].map(view_of)) if "view" in manifest else {},
        "other_body_parts": _counted(parts[(parts != "") & ~parts.isin(CHEST)]),
    }


def _counted(values: "pd.Series[str]") -> dict[str, int]:
    return {str(value): int(count) for value, count in values.value_counts().sort_index().items()}


def of_split(table: pd.DataFrame) -> dict[str, int]:
    """Counts of one split or site, from its rows with patient, label and subtype."""
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
