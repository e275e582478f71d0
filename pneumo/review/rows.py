"""Rows of metrics: differences of two recipes or of two networks, with intervals, tests and what could be detected."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pneumo.evaluation import recipes
from pneumo.evaluation.holm import holm
from pneumo.evaluation.recipes import Estimate
from pneumo.params import Review
from pneumo.review import paired
from pneumo.review.candidate import METRICS
from pneumo.review.pair import Pair

TESTED = ("roc_auc", "accuracy", "recall", "specificity")
CLASS_OF = {"recall": [1], "specificity": [0]}
PERMUTATIONS = 5  # for each resample in params.yaml; they take less time
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """One metric. `base`, `head`: means over the seeds of each side, and `sd` their standard deviations, None of one
    seed. `interval`: of head minus base, at the level 1 - alpha; `p_holm`: `p` corrected for the number of tests;
    `p_exact`: of McNemar's test in its exact form, which decides nothing. `detectable`: the smallest true difference
    that these patients and seeds tell from zero with a probability of 80 % (recipes.POWER).
    """

    metric: str
    base: float | None
    head: float | None
    difference: float | None
    interval: Bounds | None
    test: str | None
    p: float | None
    p_holm: float | None
    p_exact: float | None = None
    sd: tuple[float | None, float | None] = (None, None)
    detectable: float | None = None


def rows_of(pair: Pair, rules: Review, *, permutations: int, seed: int) -> list[Row]:
    """A row for each of METRICS. The metric of the rules decides alone; the other tests are corrected (Holm)."""
    values = pair.values()
    spreads: tuple[Mapping[str, float], Mapping[str, float]] = (pair.base.sd or {}, pair.head.sd or {})
    estimates = {metric: recipes.difference(*pair.measured(metric)) for metric in METRICS}
    tests = {metric: _test(metric, pair, estimates[metric], permutations, seed) for metric in TESTED}
    others = [metric for metric in TESTED if metric != rules.metric]
    corrected = dict(zip(others, holm([tests[metric].p for metric in others]), strict=True))
    corrected[rules.metric] = tests[rules.metric].p  # it decides alone, so there is nothing to correct for
    rows = []
    for metric in METRICS:
        before, after = (side[metric] for side in values)
        test = tests.get(metric)
        rows.append(
            Row(
                metric,
                before,
                after,
                None if before is None or after is None else round(after - before, 6),
                (0.0, 0.0) if pair.unchanged else _interval(pair, estimates[metric], rules.alpha),
                test.name if test else None,
                test.p if test else None,
                corrected.get(metric),
                test.exact if test else None,
                (spreads[0].get(metric), spreads[1].get(metric)),
                _rounded(estimates[metric].detectable(rules.alpha)),
            )
        )
    return rows


def _interval(pair: Pair, estimate: Estimate, alpha: float) -> Bounds | None:
    bounds = estimate.interval(alpha)
    if bounds is None and not pair.about_recipes and np.isfinite(estimate.common):
        patients = int(pair.rows.groupby("label")["patient"].nunique().min())
        bounds = _unanimous(estimate.value, patients, alpha)
    return None if bounds is None else (round(bounds[0], 6), round(bounds[1], 6))


def _unanimous(difference: float, patients: int, alpha: float) -> Bounds:
    """Where every patient shows the same difference, and nothing varies: those that do not, of whom none was among so
    many `patients`, may show any difference from -1 to 1. Their share is at most the mid-P bound of none in `patients`.
    """
    share = 1 - alpha ** (1 / patients)
    return (1 - share) * difference - share, (1 - share) * difference + share


def _test(metric: str, pair: Pair, estimate: Estimate, permutations: int, seed: int) -> paired.Test:
    if pair.about_recipes:
        return paired.Test("t", 1.0 if pair.unchanged else estimate.p)
    rows, ((before,), (after,)) = pair.rows, pair.networks
    if metric == "roc_auc":
        columns = (rows["label"], before.test_scores["score"], after.test_scores["score"], rows["patient"])
        return paired.roc_auc(*columns, permutations=permutations, seed=seed)
    counted = rows["label"].isin(CLASS_OF.get(metric, [0, 1])).to_numpy()
    old, new = (
        ((network.test_scores["score"] >= network.threshold) == rows["label"])[counted] for network in (before, after)
    )
    return paired.mcnemar(old, new, rows["patient"][counted])


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
