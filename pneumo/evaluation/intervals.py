"""95 % intervals of the metrics of one model. Patients are the independent units, as images of one patient are not.

Shares of images (recall, precision, ...) have mid-P intervals of a binomial share, on as many images as the patients'
images are worth. F1 and predictive values follow from such shares. All other metrics have a t interval with the
standard error of a jackknife over patients. No test patient is drawn at random. `benchmarks/coverage.py` measures how
often the intervals hold the truth.

The threshold is an estimate, too, from validation patients. Shares and what follows from them take it from `Sample`,
once for each draw of these patients: their interval is that of the mixture of what a share may be at each threshold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincinv, expit, logit, stdtrit

from pneumo.evaluation.drawn import Drawn

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Bounds = tuple[float, float] | None
_Share = tuple[float, float]  # and the number of independent images that it rests on
LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
GROUPS = 2000  # at most, of patients that a jackknife leaves out, to bound its time
CHUNK = 4_000_000  # weights in memory at once
HALVINGS = 60  # of [0, 1], to the last digit of a float
UNDEFINED = 0.025  # share of draws in which a metric may be undefined; beyond it there is no interval
NODES = 8  # of Gauss and Legendre's quadrature


@dataclass(frozen=True)
class Sample:
    """The n images of a test set, each once. patient: number of each image's patient from 0, [n]. thresholds: of draws
    of the validation patients, NaN where a draw has none, [b] (`decision.threshold_draws`); None: the one of `drawn` is
    taken for given.
    """

    drawn: Drawn
    patient: NDArray[np.int_]
    thresholds: Array | None = None

    @classmethod
    def of(cls, table: pd.DataFrame, drawn: Drawn, thresholds: Array | None = None) -> Self:
        """`table`: scores.COLUMNS, the rows of `drawn`."""
        return cls(drawn, np.unique(table["patient"].to_numpy(str), return_inverse=True)[1], thresholds)

    @cached_property
    def redrawn(self) -> list[tuple[Drawn, float]]:
        """The images with each threshold, lowest first, and the share of draws that have it. Of thresholds that call
        the same images pneumonia there is one.
        """
        if self.thresholds is None:
            return [(self.drawn, 1.0)]
        defined = self.thresholds[np.isfinite(self.thresholds)]
        below = np.searchsorted(np.sort(self.drawn.scores), defined)
        _, first, count = np.unique(below, return_index=True, return_counts=True)
        return [
            (replace(self.drawn, threshold=float(defined[place])), number / len(defined))
            for place, number in zip(first, count, strict=True)
        ]

    @cached_property
    def without(self) -> list[Drawn]:
        """All images but those of one patient, for each patient in turn. Where there are more patients than GROUPS, as
        many groups of them are left out in turn.
        """
        group = self.patient % GROUPS
        count = int(group.max()) + 1
        rows = max(1, CHUNK // len(group))
        return [
            replace(self.drawn, weights=(group != np.arange(start, min(start + rows, count))[:, None]).astype(float))
            for start in range(0, count, rows)
        ]

    def patients(self, among: Mask) -> int:
        return len(np.unique(self.patient[among]))


Interval = Callable[[Callable[[Drawn], Array], Sample], Bounds]  # of a metric, from its definition and a sample
Share = Callable[[Drawn], tuple[Mask, Mask]]  # the images that count, and those that they are a share of, [n] each


def mid_p(share: ArrayLike, n: ArrayLike, weights: ArrayLike = 1.0) -> tuple[float, float]:
    """The mid-P interval of a binomial share in n draws (Lancaster 1961; Berry & Armitage 1995). n need not be whole.

    It holds all values that a test would keep which counts half the probability of what was seen. Clopper-Pearson's,
    which counts all of it, is too wide, and Wilson's holds shares near 1 too rarely. Of several shares, [k] each, it
    mixes the probabilities by `weights`, whose sum is 1.
    """
    share, n, weights = (np.atleast_1d(np.asarray(values, dtype=float)) for values in (share, n, weights))
    return _lowest(share * n, n, weights), 1 - _lowest(n - share * n, n, weights)


def independent(hits: Mask, among: Mask, patient: NDArray[np.int_]) -> tuple[float, float] | None:
    """The share of `hits` in the images `among`, both [n] of bool, and the number of independent images that these are
    worth; None without such images.

    That is their number divided by the design effect, the variance between patients (Cochran's, of a ratio) over that
    of independent images, at least 1, as in Korn & Graubard, Survey Methodology 24 (1998) 193. That variance rests on
    the patients with rare images, hits or misses. Where these are few it says little, so one more is imagined, of the
    worst case: that all images of a patient are alike.
    """
    if not among.any():
        return None
    total = np.bincount(patient[among]).astype(float)
    count = np.bincount(patient[among & hits], minlength=len(total)).astype(float)
    images, units = total.sum(), int((total > 0).sum())
    share, rare = count.sum() / images, min(count.sum(), images - count.sum())
    worst = design = (total**2).sum() / images
    if rare and units > 1:
        spread = units / (units - 1) * ((count - share * total) ** 2).sum()
        design = (rare * spread / (images * share * (1 - share)) + worst) / (rare + 1)
    return share, images / max(1.0, design)


def share_bounds(share: Share, sample: Sample) -> Bounds:
    """mid_p of `share` on as many images as are independent, mixed over the thresholds of `sample`; None where it is
    undefined at the threshold itself, or in more than UNDEFINED of the draws.
    """
    draws = _defined([(independent(*share(drawn), sample.patient), weight) for drawn, weight in sample.redrawn])
    if draws is None or not share(sample.drawn)[1].any():
        return None
    shares, n = np.array(draws[0]).T
    return mid_p(shares, n, draws[1])


def proportion(share: Share) -> Interval:
    """Of a metric that is a share of images."""
    return lambda of, sample: share_bounds(share, sample)


def f1(of: Callable[[Drawn], Array], sample: Sample) -> Bounds:
    """F1 is 2 j / (1 + j), where j is the share of true positives in all images that are pneumonia or called so."""
    bounds = share_bounds(
        lambda drawn: ((drawn.labels == 1) & drawn.called, (drawn.labels == 1) | drawn.called), sample
    )
    return bounds and (2 * bounds[0] / (1 + bounds[0]), 2 * bounds[1] / (1 + bounds[1]))


def positive_predictive(of: Callable[[Drawn], Array], sample: Sample) -> Bounds:
    """At the prevalence of `sample.drawn`, from the intervals of recall and specificity."""
    return _predictive(sample, 1)


def negative_predictive(of: Callable[[Drawn], Array], sample: Sample) -> Bounds:
    """As `positive_predictive`, with the classes swapped."""
    return _predictive(sample, 0)


def jackknife(of: Callable[[Drawn], Array], sample: Sample) -> Bounds:
    """Value and standard error by leaving out one patient at a time (Tukey 1958), with Student's t.

    The degrees of freedom are Satterthwaite's, from the kurtosis of what each patient contributes: the fewer patients
    the error rests on, as with few misranked images, the wider the interval. None where the metric is undefined, or
    would be without one of the patients, and where its spread is zero.
    """
    value, error = _value_and_error(of, sample)
    return (value - error, value + error) if error > 0 else None


def jackknife_logit(of: Callable[[Drawn], Array], sample: Sample) -> Bounds:
    """As `jackknife`, on the scale of log(m / (1 - m)), for metrics m between 0 and 1 (ROC AUC: Pepe 2003, 5.2)."""
    value, error = _value_and_error(of, sample)
    if not (error > 0 and 0 < value < 1):
        return None
    half = error / (value * (1 - value))
    return float(expit(logit(value) - half)), float(expit(logit(value) + half))


def roc_auc(of: Callable[[Drawn], Array], sample: Sample) -> Bounds:
    """As `jackknife_logit`. A ranking without a mistake, or with nothing but mistakes, has the interval of a share in
    as many draws as the smaller class has patients: the variance of ROC AUC is no larger (Birnbaum & Klose 1957).
    """
    value = float(of(sample.drawn)[0])
    if value not in (0, 1):
        return jackknife_logit(of, sample)
    return mid_p(value, min(sample.patients(sample.drawn.labels == label) for label in (0, 1)))


def _value_and_error(of: Callable[[Drawn], Array], sample: Sample) -> tuple[float, float]:
    """A metric, and half the width of its t interval; NaN where one is undefined."""
    values = np.concatenate([of(drawn) for drawn in sample.without])
    rows = len(values)
    if rows < 2:
        return np.nan, np.nan
    squares = (values - values.mean()) ** 2
    total = squares.sum()
    if not total > 0:
        return np.nan, np.nan
    kurtosis = rows * (squares**2).sum() / total**2  # 1 to rows, and 3 of a normal distribution
    freedom = min(rows - 1, 2 * rows / (kurtosis - 1)) if kurtosis > 1 else rows - 1
    error = np.sqrt((rows - 1) / rows * total)
    return float(of(sample.drawn)[0]), float(error * stdtrit(freedom, (1 + LEVEL) / 2))


def _predictive(sample: Sample, label: int) -> Bounds:
    """Of the predictive value of a call of the class `label`, from the shares of calls that are right in this class,
    and that are wrong in the other one. At one threshold these are taken for independent: a patient should have images
    of one class.
    """
    prevalence = sample.drawn.prevalence if label else 1 - sample.drawn.prevalence

    def calls(drawn: Drawn) -> tuple[_Share, _Share] | None:
        of_class, called = drawn.labels == label, drawn.called == bool(label)
        true, false = (independent(called, among, sample.patient) for among in (of_class, ~of_class))
        return (true, false) if true and false and called.any() else None

    draws = _defined([(calls(drawn), weight) for drawn, weight in sample.redrawn])
    if draws is None or calls(sample.drawn) is None:
        return None
    pairs, weights = draws
    if len(pairs) > 1:
        return _mixed_bayes_bounds(pairs, weights, prevalence)
    true, false = pairs[0]
    return _bayes_bounds(true, false, prevalence)


def _bayes_bounds(true: _Share, false: _Share, prevalence: float) -> tuple[float, float]:
    """By Bayes' rule from the ratio of false calls to right ones. Its interval is that of Donner & Zou, Statistical
    Methods in Medical Research 21 (2012) 347, from those of its two shares.
    """
    (b, _), (a, _), (true_low, true_high), (false_low, false_high) = true, false, mid_p(*true), mid_p(*false)

    def root(far: float, near: float) -> float:
        return float(a * b + np.sqrt(max(0.0, (a * b) ** 2 - far * near * (2 * a - far) * (2 * b - near))))

    low = false_low * (2 * a - false_low) / root(false_low, true_high) if a else 0.0
    divisor = true_low * (2 * b - true_low)
    high = root(false_high, true_low) / divisor if divisor > 0 else np.inf
    by_chance = (1 - prevalence) / prevalence if prevalence > 0 else np.inf
    return 1 / (1 + by_chance * high) if high < np.inf else 0.0, 1 / (1 + by_chance * low) if low else 1.0


def _mixed_bayes_bounds(
    draws: Sequence[tuple[_Share, _Share]], weights: Array, prevalence: float
) -> tuple[float, float]:
    """Of the mixture of what the predictive value may be at each of k thresholds, at which right and false calls move
    together. It is at most v where the share of false calls is at least that of right ones times a factor of v.
    """
    shares = np.array(draws)  # [k, 2, 2]
    nodes, node_weights = np.polynomial.legendre.leggauss(NODES)
    true = _quantiles(shares[:, 0], (nodes + 1) / 2)
    false, n = shares[:, 1, 0, None], shares[:, 1, 1, None]

    def at_most(value: float) -> float:
        factor = (1 - value) / value * prevalence / (1 - prevalence)
        above = 1 - _distribution(np.minimum(true * factor, 1), false * n, n)
        return float(weights @ above @ np.tile(node_weights, 2) / 4)

    return _halved(at_most, TAIL), _halved(at_most, 1 - TAIL)


def _defined(draws: Sequence[tuple[Any, float]]) -> tuple[list[Any], Array] | None:
    """Those of the pairs of value and weight whose value is not None, and their weights, of sum 1; None where the
    others weigh more than UNDEFINED.
    """
    values = [value for value, _ in draws if value is not None]
    weights = np.array([weight for value, weight in draws if value is not None])
    return (values, weights / weights.sum()) if values and weights.sum() >= 1 - UNDEFINED else None


def _lowest(hits: Array, n: Array, weights: Array) -> float:
    """The lowest share for which so many hits, or more, are no rarer than half of 1 - LEVEL. Those that are exactly as
    many count half. Rarity is mixed by `weights`. All [k].
    """
    return _halved(lambda share: float((weights * _distribution(share, hits, n)).sum()), TAIL)


def _halved(rising: Callable[[float], float], level: float) -> float:
    """The lowest number in [0, 1] where `rising` reaches `level`."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < level else (low, middle)
    return low


def _distribution(share: ArrayLike, hits: Array, n: Array) -> Array:
    """How probable so many hits, or more, are for a true `share`, where those that are exactly as many count half: the
    distribution function of what the share may be, half of Beta(hits, n - hits + 1), half of Beta(hits + 1, n - hits).
    """
    some, others = hits > 0, hits < n
    at_least = np.where(some, betainc(np.where(some, hits, 1), n - hits + 1, share), 1.0)
    more = np.where(others, betainc(hits + 1, np.where(others, n - hits, 1), share), 0.0)
    return (at_least + more) / 2


def _quantiles(shares: Array, at: Array) -> Array:
    """Of the two halves of `_distribution` for k shares with their n, [k, 2], each `at` [m] levels: [k, 2 m]."""
    hits, n = shares[:, 0, None] * shares[:, 1, None], shares[:, 1, None]
    some, others = hits > 0, hits < n
    lower = np.where(some, betaincinv(np.where(some, hits, 1), n - hits + 1, at), 0.0)
    upper = np.where(others, betaincinv(hits + 1, np.where(others, n - hits, 1), at), 1.0)
    return np.concatenate([lower, upper], axis=1)
