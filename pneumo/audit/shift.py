"""How the official test set differs from train and val in what can be seen without the lungs."""

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
# Val is drawn from the same patients as train: they differ by chance only.
COMPARISONS = (("test", "train"), ("test", "val"), ("val", "train"))
COLUMNS = (
    "feature",
    "class",
    *(f"mean_{split}" for split in ("train", "val", "test")),
    *(f"{measure}_{first}_{second}" for measure in ("smd", "ks") for first, second in COMPARISONS),
)


def table(manifest: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """One row per feature and class (all, normal, pneumonia), COLUMNS.

    smd_A_B: mean of A minus mean of B, over the root of the mean of their variances; NaN where nothing varies.
    ks_A_B: Kolmogorov-Smirnov statistic in [0, 1], the largest distance between the two distribution functions.
    """
    rows = []
    for name, feature in product(CLASSES, FEATURES):
        of_class = manifest["label"].isin(CLASSES[name])
        values = {
            split: features.loc[(of_class & (manifest["split"] == split)).to_numpy(), feature].to_numpy(float)
            for split in ("train", "val", "test")
        }
        row: dict[str, Any] = {"feature": feature, "class": name}
        row |= {f"mean_{split}": x.mean() for split, x in values.items()}
        for first, second in COMPARISONS:
            row[f"smd_{first}_{second}"] = standardised_difference(values[first], values[second])
            row[f"ks_{first}_{second}"] = ks_2samp(values[first], values[second]).statistic
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def standardised_difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Difference of means in standard deviations: Austin, Stat Med 2009;28:3083. NaN where nothing varies."""
    spread = np.sqrt((first.var() + second.var()) / 2)
    return float((first.mean() - second.mean()) / spread) if spread else float("nan")


def separability(manifest: pd.DataFrame, features: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """ROC AUC with which all features together tell two splits apart, within each class; 0.5 means no difference.

    Logistic regression, cross-validated by patient, mean over folds. {class: {"test_train": ..., "val_train": ...}};
    None if there are too few patients.
    """
    return {
        name: {
            f"{first}_{second}": _separability(manifest, features, CLASSES[name][0], first, second)
            for first, second in (("test", "train"), ("val", "train"))
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
