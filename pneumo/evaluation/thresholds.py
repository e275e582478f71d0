"""Validation labels and scores -> the threshold from which on a score calls pneumonia: score >= threshold."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[np.float64]
BLOCK = 300_000  # weights at once: so many stay in a processor's cache


def find(labels: ArrayLike, scores: ArrayLike, policy: str, value: float | None = None) -> float:
    """The decision threshold that `policy` sets on validation scores.

    youden: the score with the largest recall + specificity - 1. f1: with the largest F1. sensitivity: the highest score
    whose recall is at least `value`. specificity: the lowest whose specificity is at least `value`, or just above the
    highest where none reaches it. fixed: `value` itself.
    """
    once = np.ones((1, len(np.asarray(labels))))
    return float(find_each(labels, scores, once, policy, value)[0])


def find_each(labels: ArrayLike, scores: ArrayLike, weights: Array, policy: str, value: float | None = None) -> Array:
    """What `find` gives for each draw of images, [b]; NaN for a draw that lacks one of the classes, unless `policy` is
    fixed. weights: how often each image was drawn, [b, n].
    """
    y, s = np.asarray(labels, dtype=float), np.asarray(scores, dtype=float)
    value = value if value is not None else np.nan
    if policy == "fixed":
        return np.full(len(weights), value)
    rows = max(1, BLOCK // len(y))
    found = []
    for start in range(0, len(weights), rows):
        draws = _Draws.of(y, s, weights[start : start + rows])
        with np.errstate(invalid="ignore"):  # 0 / 0 without a class, and above the highest score that was drawn
            found.append(np.where(draws.both, _POLICIES[policy](draws, value), np.nan))
    return np.concatenate(found)


def counts(labels: ArrayLike, scores: ArrayLike) -> tuple[Array, Array, Array]:
    """The g distinct scores, highest first, and true and false positives with each as the threshold: [g] each."""
    y, s = np.asarray(labels, dtype=float), np.asarray(scores, dtype=float)
    once = _Draws.of(y, s, np.ones((1, len(y))))
    return once.scores, once.tp[0], once.fp[0]


@dataclass(frozen=True)
class _Draws:
    """scores: the g distinct ones, highest first, [g]. tp, fp: with each as the threshold, in each draw, [b, g]. seen:
    whether a draw has an image with this score, [b, g]; others are no candidates for its threshold.
    """

    scores: Array
    tp: Array
    fp: Array
    seen: NDArray[np.bool_]

    @classmethod
    def of(cls, labels: Array, scores: Array, weights: Array) -> Self:
        order = np.argsort(-scores, kind="stable")
        last = np.flatnonzero(np.r_[np.diff(scores[order]) != 0, True])
        drawn = weights[:, order]
        tp, called = (drawn * labels[order]).cumsum(axis=1)[:, last], drawn.cumsum(axis=1)[:, last]
        return cls(scores[order][last], tp, called - tp, np.diff(called, axis=1, prepend=0) > 0)

    @property
    def both(self) -> NDArray[np.bool_]:
        """Whether a draw has both classes, [b]."""
        return (self.tp[:, -1] > 0) & (self.fp[:, -1] > 0)

    def first(self, wanted: NDArray[np.bool_]) -> Array:
        """The highest score that a draw has and that is `wanted`, [b]. wanted: [b, g]."""
        return self.scores[np.argmax(self.seen & wanted, axis=1)]


def _youden(draws: _Draws, _: float) -> Array:
    index = draws.tp / draws.tp[:, -1:] - draws.fp / draws.fp[:, -1:]
    index[~draws.seen] = -np.inf
    return draws.scores[np.argmax(index, axis=1)]


def _f1(draws: _Draws, _: float) -> Array:
    precision, recall = draws.tp / (draws.tp + draws.fp), draws.tp / draws.tp[:, -1:]
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    f1[~draws.seen] = -np.inf
    return draws.scores[::-1][np.argmax(f1[:, ::-1], axis=1)]  # on a tie, the lowest threshold


def _sensitivity(draws: _Draws, value: float) -> Array:
    return draws.first(draws.tp / draws.tp[:, -1:] >= value)


def _specificity(draws: _Draws, value: float) -> Array:
    normals = draws.fp[:, -1:]
    enough = draws.seen & ((normals - draws.fp) / normals >= value)  # without the error of 1 - x
    lowest = draws.scores[::-1][np.argmax(enough[:, ::-1], axis=1)]
    highest = draws.scores[np.argmax(draws.seen, axis=1)]
    return np.where(enough.any(axis=1), lowest, np.nextafter(highest, np.inf))


_POLICIES: dict[str, Callable[[_Draws, float], Array]] = {
    "youden": _youden,
    "f1": _f1,
    "sensitivity": _sensitivity,
    "specificity": _specificity,
}
