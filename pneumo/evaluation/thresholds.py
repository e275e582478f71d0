"""Validation labels and scores -> the threshold at which an image is called pneumonia: score >= threshold."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics as sk

DIGITS = 12  # 1 - 0.07 is less than 0.93 without rounding
Labels: TypeAlias = NDArray[np.int_]
Scores: TypeAlias = NDArray[np.float64]


def find(labels: ArrayLike, scores: ArrayLike, policy: str, value: float | None = None) -> float:
    """The decision threshold that `policy` finds on these (validation) scores; always one of them, or `value`.

    youden: largest recall + specificity - 1. f1: largest F1. sensitivity: the highest threshold whose recall is at
    least `value`. specificity: the lowest whose specificity is at least `value`. fixed: `value` itself.
    """
    y, s = np.asarray(labels, dtype=int), np.asarray(scores, dtype=float)
    return float(_POLICIES[policy](y, s, value if value is not None else np.nan))


def _youden(y: Labels, s: Scores, _: float) -> float:
    fpr, tpr, thresholds = sk.roc_curve(y, s)
    return thresholds[1:][np.argmax((tpr - fpr)[1:])]


def _f1(y: Labels, s: Scores, _: float) -> float:
    precision, recall, thresholds = sk.precision_recall_curve(y, s)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return thresholds[np.argmax(f1[:-1])]


def _sensitivity(y: Labels, s: Scores, value: float) -> float:
    _, tpr, thresholds = sk.roc_curve(y, s, drop_intermediate=False)
    return thresholds[1:][np.argmax(tpr[1:] >= value)]


def _specificity(y: Labels, s: Scores, value: float) -> float:
    fpr, _, thresholds = sk.roc_curve(y, s, drop_intermediate=False)
    enough = np.flatnonzero(np.round(1 - fpr[1:], DIGITS) >= value)
    return thresholds[1:][enough[-1]] if len(enough) else np.nextafter(s.max(), np.inf)


def _fixed(y: Labels, s: Scores, value: float) -> float:
    return value


_POLICIES: dict[str, Callable[[Labels, Scores, float], float]] = {
    "youden": _youden,
    "f1": _f1,
    "sensitivity": _sensitivity,
    "specificity": _specificity,
    "fixed": _fixed,
}
