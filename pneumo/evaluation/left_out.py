"""A metric without one group of patients in turn, and at other thresholds, without weighing every image anew."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pneumo.evaluation.drawn import Drawn, ratio
from pneumo.evaluation.intervals import GROUPS, Sample
from pneumo.evaluation.metrics import BY_KEY

Array = NDArray[np.float64]


class _Kinds(NamedTuple):
    """Images of the same label and subtype count alike in decisions. of: kind of each image, [n]."""

    labels: Array
    subtypes: NDArray[np.str_]
    of: NDArray[np.int_]


def left_out(key: str, sample: Sample) -> Array:
    """The metric `key` without each of the g groups of patients of `sample` in turn, [g]; NaN where it is undefined."""
    if key == "roc_auc":
        return _roc_auc(sample)
    if BY_KEY[key].group != "decision":
        return np.concatenate([BY_KEY[key].of(drawn) for drawn in sample.without])
    kinds = _kinds(sample.drawn)
    group = sample.patient % GROUPS
    count, shape = len(kinds.labels), (int(group.max()) + 1, len(kinds.labels))
    right, wrong = (
        np.bincount(kinds.of[of] + count * group[of], minlength=shape[0] * count).reshape(shape).astype(float)
        for of in (sample.drawn.called, ~sample.drawn.called)
    )
    return _of_counts(key, sample.drawn, kinds, right.sum(axis=0) - right, wrong.sum(axis=0) - wrong)


def at_thresholds(key: str, drawn: Drawn, thresholds: ArrayLike) -> Array:
    """The decision metric `key` at each of r thresholds, [r]. `drawn`: every image once."""
    kinds, at = _kinds(drawn), np.asarray(thresholds, dtype=float)
    by_kind = [np.sort(drawn.scores[kinds.of == kind]) for kind in range(len(kinds.labels))]
    below = np.stack([np.searchsorted(scores, at, side="left") for scores in by_kind], axis=1).astype(float)
    return _of_counts(key, drawn, kinds, np.array([len(scores) for scores in by_kind]) - below, below)


def _kinds(drawn: Drawn) -> _Kinds:
    subtypes, subtype = np.unique(drawn.subtypes.astype(str), return_inverse=True)
    kinds, of = np.unique(2 * subtype + drawn.labels.astype(int), return_inverse=True)
    return _Kinds((kinds % 2).astype(float), subtypes[kinds // 2], of)


def _of_counts(key: str, drawn: Drawn, kinds: _Kinds, called: Array, others: Array) -> Array:
    """called, others: images of each kind that are called pneumonia and that are not, [b, kinds]."""
    images = replace(
        drawn,
        labels=np.tile(kinds.labels, 2),
        scores=np.repeat([1.0, 0.0], len(kinds.labels)),
        logits=np.full(2 * len(kinds.labels), np.nan),
        subtypes=np.tile(kinds.subtypes, 2),
        threshold=0.5,
        weights=np.hstack([called, others]),
    )
    return BY_KEY[key].of(images)


def _roc_auc(sample: Sample) -> Array:
    """A pair of a pneumonia and a normal is lost with either: those of the group are taken from the sum, and its pairs
    with itself are given back, as they were taken twice.
    """
    positive, scores, group = sample.drawn.labels == 1, sample.drawn.scores, sample.patient % GROUPS
    groups = int(group.max()) + 1
    wins = np.where(positive, _below(scores, scores[~positive]), 0.0)
    losses = np.where(positive, 0.0, positive.sum() - _below(scores, scores[positive]))
    lost = np.bincount(group, wins + losses, groups)
    rank = np.unique(scores, return_inverse=True)[1] + group * (len(scores) + 1)  # groups one above the other
    own = _below(rank[positive], rank[~positive]) - _below(group[positive] * (len(scores) + 1) - 1, rank[~positive])
    lost -= np.bincount(group[positive], own, groups)
    positives, negatives = (of.sum() - np.bincount(group, of.astype(float), groups) for of in (positive, ~positive))
    return ratio(wins.sum() - lost, positives * negatives)


def _below(scores: NDArray[Any], others: NDArray[Any]) -> Array:
    """How many of `others` each score is above; ties count half."""
    ordered = np.sort(others)
    return np.asarray(
        (np.searchsorted(ordered, scores, side="left") + np.searchsorted(ordered, scores, side="right")) / 2,
        dtype=np.float64,
    )
