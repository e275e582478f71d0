"""Recipes, each trained with one or several seeds: the mean of a metric over seeds, and the difference of two means.

Seeds are to networks as readers are to a study of readers and cases, and each recipe has seeds of its own: the model of
Obuchowski & Rockette, Communications in Statistics 24 (1995) 285, with readers nested in tests (Hillis, Statistics in
Medicine 33 (2014) 330). With S seeds a side

    variance of a mean over seeds = spread / S + common

spread: between the seeds of the recipe, as seen on this test set. It holds what training does by chance, and what the
same patients do to one network and not to another. common: what the patients do to all networks alike, so that no
number of seeds averages it away; of a difference, what they do to all of one side and not to the other. It comes from
leaving out one patient at a time, with all images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import nctdtrinc, stdtr, stdtrit

from pneumo.evaluation.drawn import Drawn
from pneumo.evaluation.intervals import LEVEL, Bounds, Sample
from pneumo.evaluation.left_out import at_thresholds, left_out
from pneumo.evaluation.metrics import BY_KEY, rounded

Array = NDArray[np.float64]
ROUNDING = 1e-15  # of a variance
POWER = 0.8
LARGE = 1e6  # degrees of freedom that are as good as infinite
UNBOUNDED = ("calibration_slope", "calibration_intercept")


@dataclass(frozen=True)
class Networks:
    """One metric of the s networks of a recipe on one test set.

    values: [s]. left_out: without each of g groups of patients in turn, [g, s]. redrawn: at r thresholds that were
    drawn anew, the same draw of validation patients for all networks in each row, [r, s]; None for fixed thresholds.
    """

    values: Array
    left_out: Array
    redrawn: Array | None = None


@dataclass(frozen=True)
class Side:
    """A recipe's `seeds`. spread: variance between its networks, None with one seed. interplay: the part of `spread`
    that is due to these patients, which do something else to each network.
    """

    seeds: int
    spread: float | None
    interplay: float


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, or a difference of two. common: the variance that all networks of a side have from the
    patients; common_error: the variance of `common` itself. NaN where some group of patients leaves no metric.
    """

    value: float
    sides: tuple[Side, ...]
    common: float
    common_error: float

    @property
    def of_recipes(self) -> bool:
        """Whether training is counted: otherwise it is about these very networks."""
        return all(side.spread is not None for side in self.sides)

    @property
    def from_patients(self) -> float:
        """The variance that no number of seeds averages away."""
        return max(0.0, self.common)

    @property
    def from_seeds(self) -> float:
        """The variance that does."""
        return sum((side.spread or 0.0) / side.seeds for side in self.sides)

    @property
    def error(self) -> float | None:
        """The standard error; None where it is zero or undefined, since then nothing can be said."""
        variance = self.from_patients + self.from_seeds
        defined = np.isfinite(self.value) and np.isfinite(self.common)
        return float(np.sqrt(variance)) if variance > ROUNDING and defined else None

    @property
    def freedom(self) -> float:
        """Degrees of freedom (Satterthwaite 1946; Welch 1947), at least those of the side with the fewest seeds."""
        spread = sum((side.spread / side.seeds) ** 2 / (side.seeds - 1) for side in self.sides if side.spread)
        below = spread + (self.common_error / 2 if self.common > 0 else 0.0)
        least = min((side.seeds - 1 for side in self.sides if side.spread), default=0)
        return max(least, float((self.from_patients + self.from_seeds) ** 2 / below)) if below > 0 else np.inf

    def interval(self, alpha: float = 0.05) -> Bounds:
        if self.error is None:
            return None
        half = self.error * float(stdtrit(self.freedom, 1 - alpha / 2))
        return self.value - half, self.value + half

    @property
    def p(self) -> float | None:
        """Two-sided, of a value of zero. It is below alpha exactly where the interval leaves zero out."""
        return None if self.error is None else float(2 * stdtr(self.freedom, -abs(self.value) / self.error))

    def detectable(self, alpha: float = 0.05, power: float = POWER) -> float | None:
        """The smallest true value that such data tell from zero in a share `power` of cases."""
        if self.error is None:
            return None
        return detectable(self.error, self.freedom, alpha, power)


def detectable(error: float, freedom: float, alpha: float, power: float = POWER) -> float:
    """As `Estimate.detectable`: of a t test, whose statistic then has a noncentral distribution."""
    finite = min(freedom, LARGE)
    return error * float(nctdtrinc(finite, 1 - power, stdtrit(finite, 1 - alpha / 2)))


def networks(
    key: str,
    tables: Sequence[pd.DataFrame],
    thresholds: Sequence[float],
    *,
    temperatures: Sequence[float] | None = None,
    prevalence: float = 0.5,
    threshold_draws: Sequence[ArrayLike] | None = None,
) -> Networks:
    """The metric `key` of metrics.METRICS of networks, on the same images in the same order.

    `tables`: scores.COLUMNS of each; logits matter for metrics of calibration alone. `threshold_draws`: of each, r
    thresholds from the same draws of validation patients; they matter for decisions alone.
    """
    images = [
        Drawn.of(table if "logit" in table else table.assign(logit=np.nan), at, temperature=heat, prevalence=prevalence)
        for table, at, heat in zip(tables, thresholds, temperatures or [1.0] * len(tables), strict=True)
    ]
    return of_images(key, images, Sample.of(tables[0], images[0]).patient, threshold_draws)


def of_images(
    key: str,
    images: Sequence[Drawn],
    patient: NDArray[np.int_],
    threshold_draws: Sequence[ArrayLike] | None = None,
) -> Networks:
    """As `networks`. images: of each network, every image once; patient: number of each image's patient, [n]."""
    metric = BY_KEY[key]
    redrawn = None
    if threshold_draws is not None and metric.group == "decision":
        pairs = zip(images, threshold_draws, strict=True)
        redrawn = np.stack([at_thresholds(key, drawn, at) for drawn, at in pairs], axis=1)
    return Networks(
        np.array([metric.of(drawn)[0] for drawn in images]),
        np.stack([left_out(key, Sample(drawn, patient)) for drawn in images], axis=1),
        redrawn,
    )


def mean(recipe: Networks) -> Estimate:
    """Of a metric over the seeds of a recipe."""
    return _estimate([recipe], [1.0])


def difference(base: Networks, head: Networks) -> Estimate:
    """Of the means of two recipes on the same images, head minus base."""
    return _estimate([base, head], [-1.0, 1.0])


def _estimate(recipes: Sequence[Networks], signs: Sequence[float]) -> Estimate:
    by_patients, interplay = _common(recipes, signs, [_contributions(recipe.left_out) for recipe in recipes])
    groups, common = len(by_patients), by_patients.sum()
    common_error = max((by_patients**2).sum() - common**2 / groups, 2 * common**2 / max(1, groups - 1))
    redrawn = [recipe.redrawn for recipe in recipes if recipe.redrawn is not None]
    if len(redrawn) == len(recipes):
        deviations = [(at - at.mean(axis=0)) / np.sqrt(len(at) - 1) for at in redrawn]
        by_draw, more = _common(recipes, signs, deviations)
        common += by_draw.sum()
        interplay = [before + after for before, after in zip(interplay, more, strict=True)]
    sides = tuple(
        Side(len(recipe.values), float(recipe.values.var(ddof=1)) if len(recipe.values) > 1 else None, part)
        for recipe, part in zip(recipes, interplay, strict=True)
    )
    value = sum(sign * recipe.values.mean() for sign, recipe in zip(signs, recipes, strict=True))
    return Estimate(float(value), sides, float(common), float(common_error))


def _contributions(values: Array) -> Array:
    """Whose products, summed over groups of patients, are the jackknife's covariances of networks: [g, s]."""
    groups = len(values)
    return np.asarray((values - values.mean(axis=0)) * np.sqrt((groups - 1) / groups), dtype=np.float64)


def _common(
    recipes: Sequence[Networks], signs: Sequence[float], contributions: Sequence[Array]
) -> tuple[Array, list[float]]:
    """What each group adds to the common variance, [g], and the variance of each side that networks do not share.

    Summed over groups, the square of the mean over s networks is their covariance and 1 / s of what they do not share.
    """
    seeds = [len(recipe.values) for recipe in recipes]
    alone = [of.var(axis=1, ddof=1) if s > 1 else np.zeros(len(of)) for of, s in zip(contributions, seeds, strict=True)]
    together = sum(sign * of.mean(axis=1) for sign, of in zip(signs, contributions, strict=True))
    shared = together**2 - sum(of / s for of, s in zip(alone, seeds, strict=True))
    return np.asarray(shared, dtype=np.float64), [float(of.sum()) for of in alone]


def intervals(
    tables: Sequence[pd.DataFrame],
    thresholds: Sequence[float],
    of_networks: Sequence[Mapping[str, Sequence[float | None]]],
    *,
    temperatures: Sequence[float],
    prevalence: float,
    threshold_draws: Sequence[ArrayLike] | None = None,
) -> dict[str, list[float | None]]:
    """95 % interval [low, high] of the mean over seeds of each metric, to six digits; [None, None] where it has none.

    `of_networks`: the intervals of each network, from metrics.intervals. Other parameters: as of `networks`.
    """
    options: dict[str, Any] = {"temperatures": temperatures, "prevalence": prevalence}
    made: dict[str, list[float | None]] = {}
    for key in of_networks[0]:
        estimate = mean(networks(key, tables, thresholds, threshold_draws=threshold_draws, **options))
        known = [
            (low, high) if (low := of[key][0]) is not None and (high := of[key][1]) is not None else None
            for of in of_networks
        ]
        bounds = mean_bounds(estimate, known, unbounded=key in UNBOUNDED)
        made[key] = [rounded(bound) for bound in bounds or (None, None)]
    return made


def mean_bounds(estimate: Estimate, of_networks: Sequence[Bounds], *, unbounded: bool = False) -> Bounds:
    """95 % interval of a mean over seeds, from the intervals of its networks; None where one has none.

    These are sound for few patients and few errors, where `estimate.interval` is not: it would be of width zero where
    no network errs. So each bound is as far from the mean as theirs are on average, times the root of the share of the
    patients' variance that is common to all seeds, and the seeds' t interval is added in quadrature (Zou & Donner,
    Statistics in Medicine 27 (2008) 1693). unbounded: whether the metric may leave [0, 1].
    """
    if any(bounds is None for bounds in of_networks):
        return None
    (side,) = estimate.sides
    patients = max(0.0, estimate.common) + side.interplay
    common = max(0.0, estimate.common) / patients if patients > ROUNDING else 1.0
    freedom = estimate.freedom if np.isfinite(estimate.freedom) else side.seeds - 1
    seeds = estimate.from_seeds * float(stdtrit(freedom, (1 + LEVEL) / 2)) ** 2 if estimate.from_seeds else 0.0
    low, high = (float(np.mean([bounds[end] for bounds in of_networks if bounds])) for end in (0, 1))
    low, high = (
        estimate.value + sign * float(np.sqrt(common * (bound - estimate.value) ** 2 + seeds))
        for sign, bound in ((-1, low), (1, high))
    )
    return (low, high) if unbounded else (max(0.0, low), min(1.0, high))
