"""What would change if file names identified patients in another way.

The dataset does not say whether person7_bacteria and person7_virus are the same child, nor IM-0007 and NORMAL2-IM-0007.
The key in use keeps them apart; this counts the patients that a coarser key would put into two splits.
"""

import re

import pandas as pd

READINGS = {  # what is cut from the patient's key
    "as used": (),
    "subtype dropped": (r"(?i)^(?:bacteria|virus)-",),
    "NORMAL2- dropped": (r"^NORMAL2?-",),
    "both dropped": (r"(?i)^(?:bacteria|virus)-", r"^NORMAL2?-"),
}


def sensitivity(manifest: pd.DataFrame) -> pd.DataFrame:
    """One row per reading (the index): patients; patients_in_test_and_outside, by source_split, with their
    images_in_test and images_outside; patients_in_train_and_val, by split.
    """
    return pd.DataFrame({name: _counts(manifest, patterns) for name, patterns in READINGS.items()}).T


def _counts(manifest: pd.DataFrame, patterns: tuple[str, ...]) -> dict[str, int]:
    patient = manifest["patient"]
    for pattern in patterns:
        patient = patient.str.replace(re.compile(pattern), "", regex=True)
    official = manifest["source_split"] == "test"
    crossing = patient.isin(_on_both(patient, official, ~official))
    return {
        "patients": int(patient.nunique()),
        "patients_in_test_and_outside": int(patient[crossing].nunique()),
        "images_in_test": int((crossing & official).sum()),
        "images_outside": int((crossing & ~official).sum()),
        "patients_in_train_and_val": len(_on_both(patient, manifest["split"] == "train", manifest["split"] == "val")),
    }


def _on_both(patient: pd.Series, side: pd.Series, other_side: pd.Series) -> set[str]:
    return set(patient[side]) & set(patient[other_side])
