"""How often `pneumo review` calls equal recipes different, and whether it finds what it says that it can find.

    python -m benchmarks.recipes                  # all: equal, today, power, means
    python -m benchmarks.recipes equal power

Scores: what is hard about a patient is hard for all networks (correlation). Half of the rest is particular to a recipe,
unless recipes differ by seed alone, and half to a network. Seeds shift the separation of the classes and the threshold,
by a normal distribution whose SD is a multiple of what the patients do to the separation of one network (seed SD).

equal: share of pairs of equal recipes with p < 0.05, where 5 % is right, and of those that have no p. today: the same
by the tests of one seed a side, as if they were about recipes, and by a bootstrap of patients and seeds; and for two
networks, how often the jackknife's interval and the bootstrap's percentiles hold the true difference. power: how often
a difference is found that is as large as the review says it finds in 80 %. means: how often the interval of a mean over
seeds holds the truth, beside a t interval on the metric's own scale.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy import special  # not its functions: joblib cannot send them to other processes

from pneumo.evaluation import intervals, metrics, recipes
from pneumo.evaluation.drawn import Drawn
from pneumo.evaluation.intervals import Sample
from pneumo.evaluation.recipes import Networks
from pneumo.review import paired

KEYS = ("roc_auc", "accuracy")
ALPHA, RESAMPLES, GRID = 0.05, 300, 3  # GRID: score values in each unit of a logit, some 20 in all
PAIRS = {30: 500, 60: 500, 430: 500, 5000: 200}
LEAST = 2  # patients of a class
BETTER = 300  # pairs with a true difference


class Cell(NamedTuple):
    """`gain`: of the head's separation, in SD of a score. `seed_sd`: in SD of what patients do to the separation."""

    patients: int
    prevalence: float = 0.5
    correlation: float = 0.9
    seed_sd: float = 0.5
    seeds: tuple[int, int] = (3, 3)
    alone: bool = False
    ties: bool = False
    roc_auc: float = 0.95
    gain: float = 0.0

    @property
    def positives(self) -> int:
        return max(LEAST, round(self.prevalence * self.patients))

    @property
    def shift(self) -> float:
        """SD between seeds, of separation and of threshold alike."""
        return self.seed_sd * float(np.sqrt(1 / self.positives + 1 / (self.patients - self.positives)))

    @property
    def separation(self) -> float:
        return float(np.sqrt(2) * special.ndtri(self.roc_auc))

    def truth(self, key: str) -> float:
        """The metric of the head's recipe over all patients and seeds, without ties."""
        distance, wider = self.separation + self.gain, 1 + self.shift**2
        if key == "roc_auc":
            return float(special.ndtr(distance / np.sqrt(1 + wider)))
        positive = special.ndtr((distance - self.separation / 2) / np.sqrt(wider + self.shift**2))
        normal = special.ndtr(self.separation / 2 / np.sqrt(wider))
        share = self.positives / self.patients
        return float(share * positive + (1 - share) * normal)


class Side(NamedTuple):
    """Networks of a recipe, their patients [n], and shifts of separation and thresholds of each."""

    images: list[Drawn]
    patient: NDArray[np.int_]
    shifts: NDArray[np.float64]

    def networks(self, key: str, count: int | None = None) -> Networks:
        return recipes.of_images(key, self.images[:count], self.patient)


def sides(cell: Cell, seed: int) -> tuple[Side, Side]:
    """Two recipes on the same patients of one or two images."""
    rng = np.random.default_rng([seed, hash(cell) % 2**32])
    patient = np.repeat(np.arange(cell.patients), rng.choice([1, 1, 1, 2], cell.patients))
    labels = (patient < cell.positives).astype(float)

    def noise() -> NDArray[np.float64]:
        return np.sqrt(0.7) * rng.normal(size=cell.patients)[patient] + np.sqrt(0.3) * rng.normal(size=len(patient))

    rest = 1 - cell.correlation
    particular = 0.0 if cell.alone else rest / 2
    shared, made = np.sqrt(cell.correlation) * noise(), []
    for seeds, gain in zip(cell.seeds, (0.0, cell.gain), strict=True):
        of_recipe, images = np.sqrt(particular) * noise(), []
        shifts = cell.shift * rng.normal(size=(seeds, 2))
        for separation, threshold in shifts + np.array([cell.separation + gain, cell.separation / 2]):
            scores = separation * labels + shared + of_recipe + np.sqrt(rest - particular) * noise()
            if cell.ties:
                scores = np.round(GRID * scores) / GRID
            nothing = np.full(len(patient), np.nan)
            types = np.full(len(patient), "unknown")
            images.append(Drawn(labels, scores, nothing, types, threshold, 0.5, np.ones((1, len(patient)))))
        made.append(Side(images, patient, shifts))
    return made[0], made[1]


def equal(cell: Cell, seed: int) -> dict[str, float]:
    """Whether each metric is called different, and whether nothing can be said."""
    base, head = sides(cell, seed)
    found = {}
    for key in KEYS:
        p = recipes.difference(base.networks(key), head.networks(key)).p
        found[key] = float(p is not None and p < ALPHA)
        found[f"{key}: none"] = float(p is None)
    return found


def today(cell: Cell, seed: int) -> dict[str, float]:
    """One seed a side as if it were the recipe; two networks, whose truth is known; both levels of a bootstrap."""
    base, head = sides(cell, seed)
    (before, *_), (after, *_) = base.images, head.images
    positive, patient = before.labels == 1, base.patient
    before_right, after_right = (drawn.called == positive for drawn in (before, after))
    if cell.patients > 100:  # where permutations take long and say the same
        p = paired.delong(positive, before.scores, after.scores, patient)
    else:
        p = paired.roc_auc(before.labels, before.scores, after.scores, patient, permutations=500, seed=seed).p or 1.0
    by_decisions = paired.mcnemar(before_right, after_right, patient).p or 1.0
    found = {"today, roc_auc": p < ALPHA, "today, accuracy": by_decisions < ALPHA}
    for key in KEYS:
        values = [_resampled(side, key, seed) for side in (base, head)]
        one = [of[:, 0] for of in values]
        truth = _truth(cell, key, head.shifts[0]) - _truth(cell, key, base.shifts[0])
        bounds = recipes.difference(base.networks(key, 1), head.networks(key, 1)).interval()
        found[f"jackknife, {key}"] = bounds is not None and bounds[0] <= truth <= bounds[1]
        found[f"jackknife, {key}: none"] = bounds is None
        found[f"percentiles, {key}"] = _within(one[1] - one[0], truth)
        rng = np.random.default_rng(seed)
        means = [np.take_along_axis(of, rng.integers(of.shape[1], size=of.shape), axis=1).mean(axis=1) for of in values]
        found[f"two levels, {key}"] = not _within(means[1] - means[0], 0.0)
    return {name: float(value) for name, value in found.items()}


def _resampled(side: Side, key: str, seed: int) -> NDArray[np.float64]:
    """The metric of each network in the same resamples of patients, [RESAMPLES, s]."""
    rng = np.random.default_rng(seed)
    count = side.patient.max() + 1
    weights = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)[:, side.patient].astype(float)
    drawn = [Drawn(*[*_fields(images)[:-1], weights]) for images in side.images]
    return np.stack([metrics.BY_KEY[key].of(images) for images in drawn], axis=1)


def _fields(drawn: Drawn) -> list[Any]:
    return [getattr(drawn, name) for name in drawn.__dataclass_fields__]


def _truth(cell: Cell, key: str, shifts: NDArray[np.float64]) -> float:
    """The metric of one network over all patients."""
    distance, threshold = shifts + np.array([cell.separation, cell.separation / 2])
    if key == "roc_auc":
        return float(special.ndtr(distance / np.sqrt(2)))
    share = cell.positives / cell.patients
    return float(share * special.ndtr(distance - threshold) + (1 - share) * special.ndtr(threshold))


def _within(values: NDArray[np.float64], truth: float) -> bool:
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return bool(low <= truth <= high)


def detectable(cell: Cell, seed: int) -> dict[str, float]:
    base, head = sides(cell, seed)
    estimates = {key: recipes.difference(base.networks(key), head.networks(key)) for key in KEYS}
    return {key: estimate.detectable(ALPHA) or np.nan for key, estimate in estimates.items()}


def means(cell: Cell, seed: int) -> dict[str, float]:
    """Whether the interval of each metric's mean holds the truth."""
    base, _ = sides(cell, seed)
    found = {}
    for key in KEYS:
        estimate, metric = recipes.mean(base.networks(key)), metrics.BY_KEY[key]
        interval = metric.interval or intervals.jackknife
        known = [interval(metric.of, Sample(drawn, base.patient)) for drawn in base.images]
        bounds = recipes.mean_bounds(estimate, known)
        found[key] = float(bounds is not None and bounds[0] <= cell.truth(key) <= bounds[1])
        found[f"{key}: none"] = float(bounds is None)
        raw = estimate.interval()
        found[f"{key}, raw t"] = float(raw is not None and raw[0] <= cell.truth(key) <= raw[1])
    return found


def rates(of: Callable[[Cell, int], dict[str, float]], cell: Cell, pairs: int) -> pd.Series:
    """Means over pairs."""
    return pd.DataFrame([of(cell, seed) for seed in range(pairs)]).mean()


def table(of: Callable[[Cell, int], dict[str, float]], cells: Sequence[Cell], share: float = 1.0) -> pd.DataFrame:
    """A row for each cell: its fields and the rates. `share`: of PAIRS."""
    jobs = (delayed(rates)(of, cell, round(share * PAIRS[cell.patients])) for cell in cells)
    found = pd.DataFrame(Parallel(n_jobs=2, batch_size=1)(jobs))
    return pd.concat([pd.DataFrame(cells).drop(columns=["roc_auc", "gain"]), found], axis=1)


def shown(title: str, rows: pd.DataFrame) -> None:
    print(f"\n{title}\n{rows.to_string(index=False, float_format='{:.3f}'.format, na_rep='')}", flush=True)


def print_equal() -> None:
    """Each number of patients and prevalence in one case, and in others that differ from it in one respect."""
    respects: list[dict[str, Any]] = [
        *({"seed_sd": seed_sd} for seed_sd in (0.0, 0.5, 2.0)),
        *({"correlation": correlation} for correlation in (0.5, 0.99)),
        *({"alone": True, "seed_sd": seed_sd} for seed_sd in (0.0, 0.5)),
        {"ties": True},
        *({"seeds": (seeds, seeds)} for seeds in (2, 5)),
    ]
    for patients in PAIRS:
        cells = [Cell(patients, prevalence, **of) for prevalence in (0.5, 0.05) for of in respects]
        shown(f"Equal recipes: share of {PAIRS[patients]} pairs called different", table(equal, cells))


def print_today() -> None:
    cells = [
        Cell(patients, prevalence, seed_sd=seed_sd)
        for patients in (30, 60, 430)
        for prevalence in (0.5, 0.05)
        for seed_sd in (0.0, 0.5, 2.0)
    ]
    shown(
        "Equal recipes, other methods; two networks: share of intervals that hold the truth", table(today, cells, 0.5)
    )


def print_power() -> None:
    """The true difference is the median of what equal recipes of this kind are said to detect."""
    rows = []
    for patients, seeds, seed_sd in [
        (n, seeds, sd) for n in (60, 430) for seeds in ((3, 3), (5, 5)) for sd in (0.0, 0.5, 2.0)
    ]:
        cell = Cell(patients, seed_sd=seed_sd, seeds=seeds, roc_auc=0.8)
        said = pd.DataFrame(Parallel(n_jobs=2)(delayed(detectable)(cell, seed) for seed in range(100))).median()
        for key in KEYS:
            gains = np.linspace(0, 4, 2001)
            reached = np.array([cell._replace(gain=gain).truth(key) for gain in gains]) - cell.truth(key)
            if reached.max() > said[key]:
                better = cell._replace(gain=float(gains[np.argmax(reached >= said[key])]))
                jobs = (delayed(equal)(better, seed) for seed in range(BETTER))
                found = pd.DataFrame(Parallel(n_jobs=2)(jobs)).mean()[key]
                rows.append({**better._asdict(), "metric": key, "said": said[key], "found": found})
    shown("Power: share found of differences that are said to be found in 80 %", pd.DataFrame(rows))


def print_means() -> None:
    cells = [
        Cell(patients, prevalence, seed_sd=seed_sd, seeds=(seeds, 1))
        for patients in (30, 60, 430)
        for prevalence in (0.5, 0.05)
        for seed_sd in (0.0, 0.5, 2.0)
        for seeds in (2, 3)
    ]
    shown("Means over seeds: share of intervals that hold the truth", table(means, cells, 0.6))


PARTS = {"equal": print_equal, "today": print_today, "power": print_power, "means": print_means}


def main() -> None:
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main()
