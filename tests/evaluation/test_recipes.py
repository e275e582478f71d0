"""Means over seeds and their differences: by hand, by the textbook, and as several networks must be told from one."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nct, ttest_ind
from scipy.stats import t as student

from pneumo.evaluation import recipes
from pneumo.evaluation.drawn import Drawn
from pneumo.evaluation.intervals import GROUPS, Sample, jackknife
from pneumo.evaluation.left_out import at_thresholds, left_out
from pneumo.evaluation.metrics import BY_KEY, METRICS
from pneumo.evaluation.planning import Plan
from pneumo.evaluation.recipes import Estimate, Networks, Side

RNG = np.random.default_rng(5)
N = 120
PATIENT = np.arange(N) // 2
LABEL = (PATIENT % 2).astype(int)
HARD = RNG.normal(0, 1, N // 2)[PATIENT]


def scored(seed: int, gain: float = 1.5) -> pd.DataFrame:
    logit = np.round(gain * LABEL + HARD + np.random.default_rng(seed).normal(0, 0.5, N), 1)  # with ties
    rows = {
        "image": [f"{place:03}" for place in range(N)],
        "patient": PATIENT.astype(str),
        "label": LABEL,
        "subtype": np.where(LABEL == 1, np.where(PATIENT % 3, "viral", "bacterial"), "normal"),
        "logit": logit,
        "score": 1 / (1 + np.exp(-logit)),
    }
    return pd.DataFrame(rows)


def networks(key: str, seeds: range, gain: float = 1.5) -> Networks:
    return recipes.networks(key, [scored(seed, gain) for seed in seeds], [0.6] * len(seeds))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.key)
@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_a_metric_without_a_patient_is_that_metric_of_the_other_images(metric, data):
    """Also where patients have images of both classes, and scores tie."""
    n = data.draw(st.integers(8, 30))
    label = np.array([0, 1] * 2 + data.draw(st.lists(st.integers(0, 1), min_size=n - 4, max_size=n - 4)))
    patient = np.array([0, 1, 2, 3, *data.draw(st.lists(st.integers(0, 4), min_size=n - 4, max_size=n - 4))])
    score = np.array(data.draw(st.lists(st.sampled_from([0.1, 0.3, 0.6, 0.8]), min_size=n, max_size=n)))
    rows = pd.DataFrame({"label": label, "score": score, "logit": score, "subtype": np.where(label, "viral", "normal")})
    drawn = Drawn.of(rows, 0.5)
    sample = Sample(drawn, patient)
    expected = np.concatenate([metric.of(without) for without in sample.without])
    np.testing.assert_allclose(left_out(metric.key, sample), expected, atol=1e-9)


def test_groups_of_many_patients_are_left_out_together():
    n = 3 * GROUPS
    label = np.arange(n) % 3 // 2
    score = np.random.default_rng(0).random(n).round(2) + label / 2
    rows = pd.DataFrame({"label": label, "score": score, "logit": score, "subtype": "unknown"})
    sample = Sample(Drawn.of(rows, 0.7), np.arange(n))
    for key in ("roc_auc", "accuracy"):
        expected = np.concatenate([BY_KEY[key].of(without) for without in sample.without])
        np.testing.assert_allclose(left_out(key, sample), expected, atol=1e-12)


@pytest.mark.parametrize("key", [metric.key for metric in METRICS if metric.group == "decision"])
def test_at_other_thresholds_a_decision_metric_is_what_it_is_there(key):
    thresholds = [0.0, 0.2, 0.5, *scored(0)["score"][:3], 2.0]
    expected = [BY_KEY[key].of(Drawn.of(scored(0), threshold))[0] for threshold in thresholds]
    np.testing.assert_allclose(at_thresholds(key, Drawn.of(scored(0), 0.5), thresholds), expected)


@pytest.mark.parametrize("key", ["roc_auc", "accuracy", "brier"])
def test_the_mean_of_one_network_has_the_jackknifes_interval(key):
    estimate = recipes.mean(networks(key, range(1)))
    table = scored(0)
    sample = Sample.of(table, Drawn.of(table, 0.6))
    assert not estimate.of_recipes
    assert estimate.interval() == pytest.approx(jackknife(BY_KEY[key].of, sample), rel=1e-9)


def test_the_difference_of_two_networks_is_paired():
    """Of one network a side the variance is that of the difference in each patient."""
    base, head = networks("roc_auc", range(1)), networks("roc_auc", range(1, 2), gain=2.0)
    estimate = recipes.difference(base, head)
    changes = (head.left_out - base.left_out)[:, 0]
    groups = len(changes)
    assert estimate.common == pytest.approx((groups - 1) / groups * ((changes - changes.mean()) ** 2).sum())
    assert estimate.from_seeds == 0
    assert estimate.value == pytest.approx(head.values[0] - base.values[0])


def test_by_hand_two_recipes_of_two_seeds_on_three_patients():
    base = Networks(np.array([0.6, 0.8]), np.array([[0.5, 0.8], [0.6, 0.7], [0.7, 0.9]]))
    head = Networks(np.array([0.8, 0.9]), np.array([[0.9, 0.9], [0.8, 0.9], [0.7, 0.9]]))
    estimate = recipes.difference(base, head)
    covariance = 2 / 3 * np.cov(np.hstack([base.left_out, head.left_out]).T) * 2  # (g - 1) / g of the sums of squares
    within = covariance[0, 1], covariance[2, 3]
    across = covariance[:2, 2:].mean()
    assert estimate.value == pytest.approx(0.15)
    assert [side.spread for side in estimate.sides] == pytest.approx([0.02, 0.005])
    assert estimate.common == pytest.approx(sum(within) - 2 * across)
    assert estimate.from_seeds == pytest.approx(0.02 / 2 + 0.005 / 2)
    variance = max(0, estimate.common) + 0.0125
    freedom = variance**2 / (0.01**2 + 0.0025**2 + estimate.common_error / 2)
    assert estimate.freedom == pytest.approx(freedom)
    assert estimate.p == pytest.approx(2 * student.sf(0.15 / variance**0.5, freedom))


def test_where_patients_say_nothing_it_is_welchs_t_test_of_the_seeds():
    rng = np.random.default_rng(2)
    values = rng.normal(0.9, 0.01, 3), rng.normal(0.91, 0.03, 4)
    base, head = (Networks(of, np.tile(of, (50, 1))) for of in values)
    assert recipes.difference(base, head).p == pytest.approx(ttest_ind(*values, equal_var=False).pvalue)


@settings(deadline=None)
@given(
    value=st.floats(-0.2, 0.2),
    spread=st.floats(1e-6, 1e-2),
    common=st.floats(-1e-3, 1e-3),
    alpha=st.sampled_from([0.01, 0.05, 0.2]),
)
def test_p_and_interval_say_the_same(value, spread, common, alpha):
    side = Side(3, spread, spread / 2)
    estimate = Estimate(value, (side, side), common, common**2 / 10)
    low, high = estimate.interval(alpha)
    assert (low > 0 or high < 0) == (estimate.p < alpha)


def test_what_is_detectable_is_found_in_four_fifths():
    estimate = Estimate(0.0, (Side(3, 1e-4, 0.0), Side(3, 2e-4, 0.0)), 5e-5, 0.0)
    shift = estimate.detectable(0.05) / estimate.error
    assert nct.sf(student.ppf(0.975, estimate.freedom), estimate.freedom, shift) == pytest.approx(0.8, abs=1e-6)


def test_without_any_spread_nothing_is_said():
    same = Networks(np.array([1.0, 1.0]), np.ones((20, 2)))
    estimate = recipes.difference(same, same)
    assert (estimate.interval(), estimate.p, estimate.detectable()) == (None, None, None)
    undefined = Networks(np.array([0.5, 0.6]), np.full((20, 2), np.nan))
    assert recipes.mean(undefined).interval() is None


def test_thresholds_drawn_anew_widen_decisions_and_leave_rankings_alone():
    tables = [scored(seed) for seed in range(3)]
    draws = 0.6 + np.random.default_rng(0).normal(0, 0.1, 200)  # the same for all: their validation images are the same
    for key, wider in (("specificity", True), ("roc_auc", False)):
        fixed = recipes.mean(recipes.networks(key, tables, [0.6] * 3))
        redrawn = recipes.mean(recipes.networks(key, tables, [0.6] * 3, threshold_draws=[draws] * 3))
        assert redrawn.value == fixed.value
        assert (redrawn.common > fixed.common + 1e-6) == wider


def test_the_mean_of_perfect_networks_has_the_interval_of_each():
    perfect = recipes.mean(Networks(np.ones(3), np.ones((20, 3))))
    assert recipes.mean_bounds(perfect, [(0.8, 1.0)] * 3) == pytest.approx((0.8, 1.0))
    assert recipes.mean_bounds(perfect, [(0.8, 1.0), None, (0.8, 1.0)]) is None


def test_seeds_that_lie_apart_widen_the_interval_of_their_mean():
    near, far = (
        Networks(0.9 + of * np.array([-1, 0, 1]), networks("roc_auc", range(3)).left_out) for of in (0.001, 0.05)
    )
    bounds = [recipes.mean_bounds(recipes.mean(of), [(0.85, 0.94)] * 3) for of in (near, far)]
    assert bounds[1][0] < bounds[0][0] < 0.9 < bounds[0][1] < bounds[1][1] <= 1


def test_a_plan_for_what_is_there_detects_what_the_comparison_does():
    estimate = recipes.difference(networks("roc_auc", range(3)), networks("roc_auc", range(3, 6), gain=2.0))
    plan = Plan.of(estimate, N // 2)
    assert plan.detectable(N // 2, 3, 0.05) >= estimate.detectable(0.05) * (1 - 1e-9)  # spread, or more: see `training`
    needed = plan.patients_for(0.05, 10, 0.05)
    assert plan.detectable(needed, 10, 0.05) <= 0.05 < plan.detectable(needed - 1, 10, 0.05)


def test_no_number_of_patients_makes_up_for_training_noise():
    plan = Plan(100, (1e-3, 1e-3), 4, (0.0, 0.0), 1e-4, 0.0)
    assert plan.patients_for(0.01, 3, 0.05) is None
    assert Plan.of(Estimate(0.1, (Side(1, None, 0.0), Side(1, None, 0.0)), 1e-4, 0.0), 100) is None
