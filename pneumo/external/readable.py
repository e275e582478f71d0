"""Can the labels of a data set be read without its lungs? Then what a model scores on it need not be about lungs."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo.audit import folds
from pneumo.audit.features import PIXELS
from pneumo.audit.shortcut import classifier
from pneumo.evaluation import metrics


def logits(rows: pd.DataFrame, measured: pd.DataFrame) -> NDArray[np.float64]:
    """Of each image, by a logistic regression on PIXELS that was trained on these images without its patient, [n].

    rows: of the manifest; measured: features of these rows. 0 for all where there are too few patients for folds.
    """
    labels = rows["label"].to_numpy(int)
    x, values = measured.loc[:, list(PIXELS)].to_numpy(float), np.zeros(len(rows))
    for train, test in folds.by_patient(labels, rows["patient"]):
        values[test] = classifier().fit(x[train], labels[train]).decision_function(x[test])
    return values


def without_lungs(table: pd.DataFrame) -> dict[str, Any]:
    """ROC AUC with its interval over patients; null where there were no folds. `table`: scores.COLUMNS of `logits`."""
    if not table["logit"].any():
        return {"roc_auc": None, "roc_auc_ci95": [None, None]}
    bounds = metrics.intervals(table, 0.5, temperature=1.0, prevalence=0.5)
    value = metrics.ranking(table["label"], table["score"])["roc_auc"]
    return {"roc_auc": value, "roc_auc_ci95": bounds["roc_auc"]}
