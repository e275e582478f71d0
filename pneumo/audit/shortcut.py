"""A classifier that never looks at the lungs. What it scores on test, a network can score for the wrong reason."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from pneumo.audit.features import FEATURES
from pneumo.errors import AuditError

LOGARITHMIC = ("width", "height", "file_size")  # skewed, over a factor of ten and more
COEFFICIENT_COLUMNS = ("feature", "coefficient")
DIGITS = 10  # of what is fitted: processors differ from the twelfth on, and scores have six


def design(features: pd.DataFrame) -> pd.DataFrame:
    """FEATURES, with the logarithm of those in LOGARITHMIC."""
    x = features.loc[:, list(FEATURES)].astype(float)
    return x.assign(**{name: np.log(x[name]) for name in LOGARITHMIC})


def classifier() -> Pipeline:
    """Logistic regression on standardised features, with equal total weight for both classes."""
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))


def fit(manifest: pd.DataFrame, features: pd.DataFrame) -> dict[str, Any]:
    """Fit on train -> what `logits` needs, as JSON keeps it: `intercept`, and in `features` the mean and scale of each
    of FEATURES, as `design` has it, and its coefficient once standardised.

    features: as measured, row i belongs to row i of `manifest`.
    """
    x, train = design(features), (manifest["split"] == "train").to_numpy()
    scaler, regression = classifier().fit(x[train], manifest["label"][train])
    # A feature that never varies gets 1e-15 or so, which depends on the machine.
    weights = regression.coef_[0].round(DIGITS) + 0.0
    return {
        "features": [
            {"feature": name, "mean": _rounded(mean), "scale": _rounded(scale), "coefficient": float(weight)}
            for name, mean, scale, weight in zip(FEATURES, scaler.mean_, scaler.scale_, weights, strict=True)
        ],
        "intercept": round(float(regression.intercept_[0]), DIGITS),
    }


def logits(fitted: Mapping[str, Any], features: pd.DataFrame) -> NDArray[np.float64]:
    """Outputs of the baseline `fitted`, [N]. features: as measured. Raises AuditError for an image that lacks one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        x = design(features).to_numpy()
    lacking = np.argwhere(~np.isfinite(x))
    if len(lacking):
        row, column = lacking[0]
        image, name = features["image"].iloc[row], FEATURES[column]
        value = features[name].iloc[row]
        expected = "a number above 0" if name in LOGARITHMIC else "a number"
        raise AuditError(f"{image}: {name} is {value:g}; expected {expected}: remove it from the data")
    mean, scale, weight = (
        np.array([feature[key] for feature in fitted["features"]]) for key in ("mean", "scale", "coefficient")
    )
    return ((x - mean) / scale * weight).sum(axis=1) + fitted["intercept"]


def coefficients(fitted: Mapping[str, Any]) -> pd.DataFrame:
    """COEFFICIENT_COLUMNS, the largest first."""
    table = pd.DataFrame(fitted["features"])[list(COEFFICIENT_COLUMNS)].round({"coefficient": 6})
    return table.sort_values("coefficient", key=lambda values: -values.abs(), kind="stable", ignore_index=True)


def read(path: Path) -> dict[str, Any]:
    """What the audit wrote: what `fit` returned, and the baseline's temperature and threshold.

    Raises AuditError where it is missing, broken or of other features.
    """
    try:
        fitted: dict[str, Any] = json.loads(path.read_text())
        names = [feature["feature"] for feature in fitted["features"]]
        _ = fitted["intercept"], fitted["temperature"], fitted["threshold"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise AuditError(f"{path} is missing or broken ({error!r}): run `dvc repro audit`") from None
    if names != list(FEATURES):
        raise AuditError(
            f"{path}: expected the features {', '.join(FEATURES)}, found {', '.join(names)}: run `dvc repro audit`"
        )
    return fitted


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
