"""Images with weights: every metric is defined on these, for its value and for its bootstrap resamples alike."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """n images in b draws: draw j has image i `weights[j, i]` times. Score >= threshold is called pneumonia.

    labels: 0 or 1. scores: probabilities, or anything that ranks. logits: calibrated. All [n]; weights [b, n].
    tp, fp, fn, tn: images of each kind in each draw, [b].
    """

    labels: Array
    scores: Array
    logits: Array
    subtypes: NDArray[Any]
    threshold: float
    prevalence: float
    weights: Array

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        threshold: float,
        *,
        temperature: float = 1.0,
        prevalence: float = 0.5,
        weights: Array | None = None,
    ) -> Self:
        """`table`: scores.COLUMNS. Without `weights`: one draw that has every image once."""
        y, s, z = (table[column].to_numpy(float) for column in ("label", "score", "logit"))
        once = np.ones((1, len(y)))
        subtypes = table["subtype"].to_numpy()
        return cls(y, s, z / temperature, subtypes, threshold, prevalence, once if weights is None else weights)

    @classmethod
    def once(
        cls, labels: ArrayLike, scores: ArrayLike, threshold: float = 0.5, subtypes: ArrayLike | None = None
    ) -> Self:
        """One draw that has every image once, without logits and prevalence."""
        y, s = np.asarray(labels, dtype=float), np.asarray(scores, dtype=float)
        types = np.full(len(y), "unknown") if subtypes is None else np.asarray(subtypes)
        return cls(y, s, np.full(len(y), np.nan), types, threshold, np.nan, np.ones((1, len(y))))

    @property
    def called(self) -> NDArray[np.bool_]:
        return self.scores >= self.threshold

    @cached_property
    def tp(self) -> Array:
        return self.weights @ (self.labels * self.called)

    @cached_property
    def fp(self) -> Array:
        return self.weights @ ((1 - self.labels) * self.called)

    @cached_property
    def fn(self) -> Array:
        return self.weights @ (self.labels * ~self.called)

    @cached_property
    def tn(self) -> Array:
        return self.weights @ ((1 - self.labels) * ~self.called)

    @property
    def recall(self) -> Array:
        """Recall for predictive values. Where every image is drawn once, these follow from the reported recall, of six
        digits and 0 without pneumonias, so that a reader can recompute them.
        """
        return self._as_reported(ratio(self.tp, self.tp + self.fn))

    @property
    def specificity(self) -> Array:
        """As `recall`."""
        return self._as_reported(ratio(self.tn, self.tn + self.fp))

    def _as_reported(self, rate: Array) -> Array:
        once = (self.weights == 1).all()
        return np.asarray(np.round(np.nan_to_num(rate), 6), dtype=np.float64) if once else rate

    def recall_of(self, subtype: str) -> Array:
        of_subtype = self.labels * (self.subtypes == subtype)
        return ratio(self.weights @ (of_subtype * self.called), self.weights @ of_subtype)

    def mean(self, values: Array) -> Array:
        """Mean over the images of each draw, [b]."""
        return self.weights @ values / self.weights.sum(axis=1)

    @cached_property
    def by_score(self) -> tuple[Array, Array]:
        """Pneumonias and normals at each of the g distinct scores, highest score first: [b, g] and [b, g]."""
        order = np.argsort(-self.scores, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(self.scores[order]) != 0][: len(order)])
        ordered, labels = self.weights[:, order], self.labels[order]
        pos, neg = ordered * labels, ordered * (1 - labels)
        if len(starts) == len(order):  # no ties, as nearly always
            return pos, neg
        return np.add.reduceat(pos, starts, axis=1), np.add.reduceat(neg, starts, axis=1)


def roc_auc(drawn: Drawn) -> Array:
    """Area under the ROC curve; ties count half."""
    pos, neg = drawn.by_score
    positives, negatives = pos.sum(axis=1), neg.sum(axis=1)
    below = negatives[:, None] - neg.cumsum(axis=1) + 0.5 * neg
    return ratio((pos * below).sum(axis=1), positives * negatives)


def average_precision(drawn: Drawn) -> Array:
    """The mean precision over the pneumonias, without interpolation, as in scikit-learn."""
    pos, neg = drawn.by_score
    tp, fp = pos.cumsum(axis=1), neg.cumsum(axis=1)
    return ratio((pos * ratio(tp, tp + fp, empty=0.0)).sum(axis=1), pos.sum(axis=1))


def bayes(recall: Array, specificity: Array, prevalence: float) -> Array:
    """Positive predictive value at `prevalence`, by Bayes' rule. With the classes swapped it is the negative one."""
    true, false = recall * prevalence, (1 - specificity) * (1 - prevalence)
    return ratio(true, true + false)


def ratio(numerator: Array, denominator: Array, empty: float = np.nan) -> Array:
    """`numerator` / `denominator`; `empty` where the denominator is not positive."""
    denominator = np.broadcast_to(denominator, numerator.shape)
    return np.divide(numerator, denominator, out=np.full(numerator.shape, empty), where=denominator > 0)
