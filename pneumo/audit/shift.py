"""How the official test part differs from train and val in what can be seen without the lungs."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ks_2samp
from sklearn.model_selection import cross_val_score

from pneumo.audit import folds
from pneumo.audit.features import FEATURES
from pneumo.audit.shortcut import classifier, design

CLASSES = {"all": (0, 1), "normal": (0,), "pneumonia": (1,)}
# Val is drawn from the same patients as train: what differs between these two is chance.
COMPARISONS = (("test", "train"), ("test", "val"), ("val", "train"))
COLUMNS = (
    "feature",
    "class",
    *(f"mean_{split}" for split in ("train", "val", "test")),
    *(f"{measure}_{one}_{other}" for measure in ("smd", "ks") for one, other in COMPARISONS),
)


def table(manifest: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """One row per feature and class (all, normal, pneumonia), COLUMNS.

    smd_A_B: mean of A less mean of B, over the root of the mean of the two variances; NaN where nothing varies.
    ks_A_B: Kolmogorov-Smirnov statistic in [0, 1], the largest distance between the two distribution functions.
    """
    rows = []
    for name, feature in product(CLASSES, FEATURES):
        of_class = manifest["label"].isin(CLASSES[name])
        parts = {
            split: features.loc[(of_class & (manifest["split"] == split)).to_numpy(), feature].to_numpy(float)
            for split in ("train", "val", "test")
        }
        row: dict[str, Any] = {"feature": feature, "class": name}
        row |= {f"mean_{split}": values.mean() for split, values in parts.items()}
        for one, other in COMPARISONS:
            row[f"smd_{one}_{other}"] = standardised_difference(parts[one], parts[other])
            row[f"ks_{one}_{other}"] = ks_2samp(parts[one], parts[other]).statistic
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def standardised_difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Difference of means in standard deviations: Austin, Stat Med 2009;28:3083. NaN where nothing varies."""
    spread = np.sqrt((one.var() + other.var()) / 2)
    return float((one.mean() - other.mean()) / spread) if spread else float("nan")


def separability(manifest: pd.DataFrame, features: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """ROC AUC with which all features together tell two splits apart, within each class; 0.5 is no difference.

    Logistic regression, cross-validated by patient, the mean over folds. {class: {"test_train": ..., "val_train":
    ...}}; null where there are too few patients.
    """
    return {
        name: {
            f"{one}_{other}": _separability(manifest, features, CLASSES[name][0], one, other)
            for one, other in (("test", "train"), ("val", "train"))
        }
        for name in ("normal", "pneumonia")
    }


def _separability(manifest: pd.DataFrame, features: pd.DataFrame, label: int, first: str, second: str) -> float | None:
    in_either = ((manifest["label"] == label) & manifest["split"].isin([first, second])).to_numpy()
    patients, x = manifest["patient"][in_either], design(features)[in_either]
    is_first = (manifest["split"][in_either] == first).to_numpy().astype(int)
    if not (cv := folds.by_patient(is_first, patients)):
        return None
    return round(float(cross_val_score(classifier(), x, is_first, cv=cv, scoring="roc_auc").mean()), 6)
