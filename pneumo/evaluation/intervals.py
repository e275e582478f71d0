"""95 % intervals of the metrics of one model. Patients are the independent units, as images of one patient are not.

Shares of images (recall, precision, ...) have mid-P intervals of a binomial share, on as many images as the patients'
images are worth. F1 and predictive values follow from such shares. All other metrics have a t interval with the
standard error of a jackknife over patients. Nothing is drawn at random. `benchmarks/coverage.py` measures how often the
intervals hold the truth.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betainc, expit, logit, stdtrit

from pneumo.evaluation.drawn import Drawn

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Bounds = tuple[float, float] | None
LEVEL = 0.95
GROUPS = 2000  # at most, of patients that a jackknife leaves out, to bound its time
CHUNK = 4_000_000  # weights in memory at once
HALVINGS = 60  # of [0, 1], to the last digit of a float


@dataclass(frozen=True)
class Sample:
    """The n images of a test set, each once. patient: number of each image's patient from 0, [n]."""

    drawn: Drawn
    patient: NDArray[np.int_]

    @classmethod
    def of(cls, table: pd.DataFrame, drawn: Drawn) -> Self:
        """`table`: scores.COLUMNS, the rows of `drawn`."""
        return cls(drawn, np.unique(table["patient"].to_numpy(str), return_inverse=True)[1])

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


def mid_p(share: float, n: float) -> tuple[float, float]:
    """The mid-P interval of a binomial share in n draws (Lancaster 1961; Berry & Armitage 1995). n need not be whole.

    It holds all values that a test would keep which counts half the probability of what was seen. Clopper-Pearson's,
    which counts all of it, is too wide, and Wilson's holds shares near 1 too rarely.
    """
    return _lowest(share * n, n), 1 - _lowest(n - share * n, n)


def share_bounds(hits: Mask, among: Mask, patient: NDArray[np.int_]) -> Bounds:
    """Interval of the share of `hits` in the images `among`, both [n] of bool; None without such images.

    mid_p on the effective number of images: their number divided by the design effect, the variance between patients
    (Cochran's, of a ratio) over that of independent images, at least 1, as in Korn & Graubard, Survey Methodology 24
    (1998) 193. That variance rests on the patients with rare images, hits or misses. Where these are few it says
    little, so one more is imagined, of the worst case: that all images of a patient are alike.
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
    return mid_p(share, images / max(1.0, design))


def proportion(share: Share) -> Interval:
    """Of a metric that is a share of images."""
    return lambda of, sample: share_bounds(*share(sample.drawn), sample.patient)


def f1(of: Callable[[Drawn], Array], sample: Sample) -> Bounds:
    """F1 is 2 j / (1 + j), where j is the share of true positives in all images that are pneumonia or called so."""
    positive, called = sample.drawn.labels == 1, sample.drawn.called
    bounds = share_bounds(positive & called, positive | called, sample.patient)
    return bounds and (2 * bounds[0] / (1 + bounds[0]), 2 * bounds[1] / (1 + bounds[1]))


def positive_predictive(of: Callable[[Drawn], Array], sample: Sample) -> Bounds:
    """At the prevalence of `sample.drawn`, from the intervals of recall and specificity."""
    return _predictive(sample, sample.drawn.labels == 1, sample.drawn.called, sample.drawn.prevalence)


def negative_predictive(of: Callable[[Drawn], Array], sample: Sample) -> Bounds:
    """As `positive_predictive`, with the classes swapped."""
    return _predictive(sample, sample.drawn.labels == 0, ~sample.drawn.called, 1 - sample.drawn.prevalence)


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


def _predictive(sample: Sample, of_class: Mask, called: Mask, prevalence: float) -> Bounds:
    """Bayes' rule for the ratio of false calls in the other class, `false`, to right ones in this class, `true`.

    The interval of the ratio is that of Donner & Zou, Statistical Methods in Medical Research 21 (2012) 347, from those
    of its two shares, which it takes for independent: a patient should have images of one class.
    """
    true, false = (share_bounds(called, among, sample.patient) for among in (of_class, ~of_class))
    if true is None or false is None:
        return None
    a, b = called[~of_class].mean(), called[of_class].mean()
    if a == b == 0:
        return None

    def root(far: float, near: float) -> float:
        return float(a * b + np.sqrt(max(0.0, (a * b) ** 2 - far * near * (2 * a - far) * (2 * b - near))))

    low = false[0] * (2 * a - false[0]) / root(false[0], true[1]) if a else 0.0
    divisor = true[0] * (2 * b - true[0])
    high = root(false[1], true[0]) / divisor if divisor > 0 else np.inf
    by_chance = (1 - prevalence) / prevalence if prevalence > 0 else np.inf
    return 1 / (1 + by_chance * high) if high < np.inf else 0.0, 1 / (1 + by_chance * low) if low else 1.0


def _lowest(hits: float, n: float) -> float:
    """The lowest share for which so many hits, or more, are no rarer than half of 1 - LEVEL. Those that are exactly as
    many count half.
    """
    if hits <= 0:
        return 0.0
    tail, low, high = (1 - LEVEL) / 2, 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        more = betainc(hits + 1, n - hits, middle) if hits < n else 0.0
        rarer = (betainc(hits, n - hits + 1, middle) + more) / 2 < tail
        low, high = (middle, high) if rarer else (low, middle)
    return low
