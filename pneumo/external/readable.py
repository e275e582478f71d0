"""Can the labels of a data set be read without its lungs? Then what a model scores on it need not be about lungs."""

from typing import Any

import numpy as np
import pandas as pd

from pneumo.audit import folds
from pneumo.audit.features import BORDERS, EXPOSURE
from pneumo.audit.shortcut import classifier
from pneumo.evaluation import decision, metrics
from pneumo.scoring import scores

SEEN = (*EXPOSURE, *BORDERS)


def without_lungs(rows: pd.DataFrame, measured: pd.DataFrame) -> dict[str, Any]:
    """ROC AUC of a logistic regression on SEEN, trained and tested on these images by folds over patients.

    rows: of the manifest; measured: features of these rows. Null where there are too few patients for folds.
    """
    labels = rows["label"].to_numpy(int)
    result: dict[str, Any] = {"features": list(SEEN), "roc_auc": None, "roc_auc_ci95": [None, None]}
    if not (cv := folds.by_patient(labels, rows["patient"])):
        return result
    x, logits = measured.loc[:, list(SEEN)].to_numpy(float), np.zeros(len(rows))
    for train, test in cv:
        logits[test] = classifier().fit(x[train], labels[train]).decision_function(x[test])
    table = decision.calibrated(scores.table(rows, logits), 1.0)
    table = table.assign(score=table["score"].round(6), logit=table["logit"].round(6))
    bounds = metrics.intervals(table, 0.5, temperature=1.0, prevalence=0.5)
    value = metrics.ranking(table["label"], table["score"])["roc_auc"]
    return result | {"roc_auc": value, "roc_auc_ci95": bounds["roc_auc"]}
