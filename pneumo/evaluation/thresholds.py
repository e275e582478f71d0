"""Validation labels and scores -> the threshold from which on a score calls pneumonia: score >= threshold."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[np.float64]


def find(labels: ArrayLike, scores: ArrayLike, policy: str, value: float | None = None) -> float:
    """The decision threshold that `policy` sets on validation scores.

    youden: the score with the largest recall + specificity - 1. f1: with the largest F1. sensitivity: the highest score
    whose recall is at least `value`. specificity: the lowest whose specificity is at least `value`, or just above the
    highest where none reaches it. fixed: `value` itself.
    """
    y, s = np.asarray(labels, dtype=int), np.asarray(scores, dtype=float)
    return float(_POLICIES[policy](y, s, value if value is not None else np.nan))


def counts(labels: ArrayLike, scores: ArrayLike) -> tuple[Array, Array, Array]:
    """The g distinct scores, highest first, and true and false positives with each as the threshold: [g] each."""
    y, s = np.asarray(labels, dtype=float), np.asarray(scores, dtype=float)
    order = np.argsort(-s, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(s[order]) != 0, True])
    tp = np.cumsum(y[order])[last]
    return s[order][last], tp, last + 1 - tp


def _youden(y: NDArray[np.int_], s: Array, _: float) -> float:
    thresholds, tp, fp = counts(y, s)
    return thresholds[np.argmax(tp / y.sum() - fp / (1 - y).sum())]


def _f1(y: NDArray[np.int_], s: Array, _: float) -> float:
    thresholds, tp, fp = (column[::-1] for column in counts(y, s))  # on a tie, the lowest threshold
    precision, recall = tp / (tp + fp), tp / y.sum()
    return thresholds[np.argmax(2 * precision * recall / np.maximum(precision + recall, 1e-12))]


def _sensitivity(y: NDArray[np.int_], s: Array, value: float) -> float:
    thresholds, tp, _ = counts(y, s)
    return thresholds[np.argmax(tp / y.sum() >= value)]


def _specificity(y: NDArray[np.int_], s: Array, value: float) -> float:
    thresholds, _, fp = counts(y, s)
    normals = (1 - y).sum()
    enough = np.flatnonzero((normals - fp) / normals >= value)  # as a share is computed, without the error of 1 - x
    return thresholds[enough[-1]] if len(enough) else np.nextafter(s.max(), np.inf)


def _fixed(y: NDArray[np.int_], s: Array, value: float) -> float:
    return value


_POLICIES: dict[str, Callable[[NDArray[np.int_], Array, float], float]] = {
    "youden": _youden,
    "f1": _f1,
    "sensitivity": _sensitivity,
    "specificity": _specificity,
    "fixed": _fixed,
}
