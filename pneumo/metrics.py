"""Labels and scores -> numbers and thresholds. Scores are probabilities of pneumonia; labels 0 normal, 1 pneumonia."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics as sk

from pneumo.errors import ManifestError
from pneumo.manifest import require_columns

SCORE_COLUMNS = ("image", "patient", "label", "subtype", "score")


def evaluate(labels: ArrayLike, scores: ArrayLike, threshold: float) -> dict[str, float | int]:
    """All metrics of one part, rounded to six digits. An image is called pneumonia where score >= threshold.

    Ratios whose denominator is empty (precision where nothing is called pneumonia) are 0, as in scikit-learn.
    """
    y = np.asarray(labels, dtype=int)
    s = np.asarray(scores, dtype=float)
    called = s >= threshold
    tn, fp, fn, tp = (int(count) for count in sk.confusion_matrix(y, called, labels=[0, 1]).ravel())
    return {
        "n": len(y),
        "accuracy": _round(sk.accuracy_score(y, called)),
        "recall": _round(sk.recall_score(y, called, zero_division=0)),
        "specificity": _round(sk.recall_score(y, called, pos_label=0, zero_division=0)),
        "precision": _round(sk.precision_score(y, called, zero_division=0)),
        "f1": _round(sk.f1_score(y, called, zero_division=0)),
        "roc_auc": _round(sk.roc_auc_score(y, s)),
        "average_precision": _round(sk.average_precision_score(y, s)),
        "threshold": threshold,
        "tp": tp,
        "fp": fp,
        "tn": tn,
        "fn": fn,
    }


def _round(value: float) -> float:
    return round(float(value), 6)


def threshold(labels: ArrayLike, scores: ArrayLike, policy: str, value: float | None = None) -> float:
    """The decision threshold that `policy` finds on these (validation) scores; always one of them, or `value`.

    youden: largest recall + specificity - 1. f1: largest F1. sensitivity: the highest threshold whose recall is at
    least `value`. specificity: the lowest whose specificity is at least `value`. fixed: `value` itself.
    """
    y, s = np.asarray(labels, dtype=int), np.asarray(scores, dtype=float)
    return float(_POLICIES[policy](y, s, value if value is not None else np.nan))


def _youden(y: NDArray[np.int_], s: NDArray[np.float64], _: float) -> float:
    fpr, tpr, thresholds = sk.roc_curve(y, s)
    return thresholds[1:][np.argmax((tpr - fpr)[1:])]


def _f1(y: NDArray[np.int_], s: NDArray[np.float64], _: float) -> float:
    precision, recall, thresholds = sk.precision_recall_curve(y, s)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return thresholds[np.argmax(f1[:-1])]


def _sensitivity(y: NDArray[np.int_], s: NDArray[np.float64], value: float) -> float:
    _, tpr, thresholds = sk.roc_curve(y, s, drop_intermediate=False)
    return thresholds[1:][np.argmax(tpr[1:] >= value)]


def _specificity(y: NDArray[np.int_], s: NDArray[np.float64], value: float) -> float:
    fpr, _, thresholds = sk.roc_curve(y, s, drop_intermediate=False)
    enough = np.flatnonzero(1 - fpr[1:] >= value)
    return thresholds[1:][enough[-1]] if len(enough) else np.nextafter(s.max(), np.inf)


def _fixed(y: NDArray[np.int_], s: NDArray[np.float64], value: float) -> float:
    return value


_POLICIES: dict[str, Callable[[NDArray[np.int_], NDArray[np.float64], float], float]] = {
    "youden": _youden,
    "f1": _f1,
    "sensitivity": _sensitivity,
    "specificity": _specificity,
    "fixed": _fixed,
}


def write_scores(table: pd.DataFrame, path: Path) -> None:
    """Write a scores table: sorted by image, six significant digits, so that it is small and the same everywhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = table.sort_values("image").loc[:, list(SCORE_COLUMNS)]
    ordered.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def read_scores(path: Path) -> pd.DataFrame:
    """The scores table at `path`. Raises ManifestError where it is missing or breaks its contract."""
    if not path.is_file():
        raise ManifestError(f"{path} is missing: run `dvc repro`")
    table = pd.read_csv(path, dtype={"image": str, "patient": str}, keep_default_na=False)
    require_columns(table, SCORE_COLUMNS, str(path))
    score = pd.to_numeric(table["score"], errors="coerce")
    odd = table.loc[~score.between(0, 1), "image"]
    if len(odd):
        raise ManifestError(f"{path}: the score of {odd.iloc[0]} is not a probability in [0, 1]")
    if not table["image"].is_unique:
        raise ManifestError(f"{path}: {table['image'][table['image'].duplicated()].iloc[0]} has two scores")
    return table.assign(score=score)
