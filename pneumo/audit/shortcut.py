"""A classifier that never looks at the lungs. What it scores on test, a network can score for the wrong reason."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from pneumo.audit.features import FEATURES
from pneumo.scoring import scores

LOGARITHMIC = ("width", "height", "file_size")  # skewed, over a factor of ten and more
COEFFICIENT_COLUMNS = ("feature", "coefficient")


def design(features: pd.DataFrame) -> pd.DataFrame:
    """FEATURES, with the logarithm of those in LOGARITHMIC."""
    x = features.loc[:, list(FEATURES)].astype(float)
    return x.assign(**{name: np.log(x[name]) for name in LOGARITHMIC})


def classifier() -> Pipeline:
    """Logistic regression on standardised features, with equal total weight for both classes."""
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))


def baseline(manifest: pd.DataFrame, features: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Fit on train -> raw scores of val and test (scores.RAW_COLUMNS), and the standardised coefficients, largest
    first. features: as measured, row i belongs to row i of `manifest`.
    """
    x, split = design(features), manifest["split"].to_numpy()
    fitted = classifier().fit(x[split == "train"], manifest["label"][split == "train"])
    raw = {
        name: scores.table(manifest[split == name], fitted.decision_function(x[split == name]))
        for name in ("val", "test")
    }
    # A feature that never varies gets 1e-15 or so, which depends on the machine.
    coefficients = fitted[-1].coef_[0].round(6) + 0.0
    weights = pd.DataFrame(dict(zip(COEFFICIENT_COLUMNS, (FEATURES, coefficients), strict=True)))
    return raw, weights.sort_values("coefficient", key=lambda values: -values.abs(), kind="stable", ignore_index=True)
