"""reports/plots/*.csv: the data of the curves, which `dvc plots` draws too.

ROC and precision-recall are as scikit-learn's, whose import takes longer than the rest of the report's together; a test
compares them.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from pneumo import files
from pneumo.evaluation import abstention
from pneumo.evaluation.thresholds import counts
from pneumo.report.markdown import CLASSES
from pneumo.report.results import Results


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Name of the file -> its table: the curves of all models, the confusion matrix of the selected one."""
    selected = results.selected
    return {
        "roc": pd.concat([roc(scored).assign(model=name) for name, scored in results.test.items()]),
        "precision_recall": pd.concat([precision_recall(s).assign(model=name) for name, s in results.test.items()]),
        "risk_coverage": risk_coverage(results),
        "confusion": confusion(results.test[selected], results.best["threshold"]).assign(model=selected),
        "training": results.history,
    }


def write(plots: dict[str, pd.DataFrame], folder: Path) -> None:
    """Write NAME.csv for each of `plots`, the model first."""
    for name, table in plots.items():
        ordered = table[["model", *table.columns.drop("model")]]
        text = ordered.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        files.write_text(folder / f"{name}.csv", text)


def roc(scored: pd.DataFrame) -> pd.DataFrame:
    """fpr, tpr and threshold, from calling no image pneumonia to calling all; only the corners of the curve."""
    threshold, tp, fp = counts(scored["label"], scored["score"])
    if len(threshold) > 2:
        corner = np.r_[True, (np.diff(fp, 2) != 0) | (np.diff(tp, 2) != 0), True]
        threshold, tp, fp = threshold[corner], tp[corner], fp[corner]
    tpr, fpr = np.r_[0, tp / tp[-1]], np.r_[0, fp / fp[-1]]
    # The first point calls nothing pneumonia: its threshold is infinite, which is no number in JSON.
    return pd.DataFrame({"fpr": fpr, "tpr": tpr, "threshold": [None, *threshold]})


def precision_recall(scored: pd.DataFrame) -> pd.DataFrame:
    """recall, precision and threshold, recall ascending; of points with the same recall the first and the last."""
    threshold, tp, fp = counts(scored["label"], scored["score"])
    if len(threshold) > 2:
        corner = np.r_[True, (np.diff(tp[:-1]) != 0) | (np.diff(tp[1:]) != 0), True]
        threshold, tp, fp = threshold[corner], tp[corner], fp[corner]
    recall, precision = np.r_[0, tp / tp[-1]], np.r_[1, tp / (tp + fp)]
    return pd.DataFrame({"recall": recall, "precision": precision, "threshold": [None, *threshold]})


def risk_coverage(results: Results) -> pd.DataFrame:
    """coverage, risk and margin of each model on the test set (abstention.curve)."""
    parts = []
    for name, scored in results.test.items():
        coverage, risk, margin = abstention.curve(scored, results.figures[name]["threshold"])
        parts.append(pd.DataFrame({"coverage": coverage, "risk": risk, "margin": margin}).assign(model=name))
    return pd.concat(parts)


def confusion(scored: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Class and call of each image, in words."""
    called = scored["score"] >= threshold
    columns = {"actual": scored["label"], "predicted": called.astype(int)}
    return pd.DataFrame(columns).map(lambda label: CLASSES[label])
