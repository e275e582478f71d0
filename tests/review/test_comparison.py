"""One pair of models: what makes a verdict, row by row."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from benchmarks.review import pair
from pneumo.evaluation import recipes
from pneumo.params import Review
from pneumo.review.candidate import Candidate, Network, measured
from pneumo.review.comparison import compare, judge
from pneumo.review.rows import Row

RULES = Review(metric="roc_auc", margin=0.0, alpha=0.05)
BASE, HEAD = pair(11, (1.05, 0.75), patients=120)


def rules(**values):
    return RULES.model_copy(update=values)


@pytest.mark.parametrize(
    ("low", "high", "p", "settings", "verdict"),
    [
        (0.01, 0.05, 0.01, {}, "better"),
        (-0.05, -0.01, 0.01, {}, "worse"),
        (-0.01, 0.05, 0.01, {}, "within noise"),  # the interval says no
        (-0.05, 0.01, 0.01, {}, "within noise"),
        (0.01, 0.05, 0.05, {}, "within noise"),  # the test says no
        (-0.05, -0.01, 0.06, {}, "within noise"),
        (0.01, 0.05, 0.06, {"alpha": 0.1}, "better"),
        (0.01, 0.05, 0.02, {"alpha": 0.01}, "within noise"),
        (-0.05, -0.01, 0.01, {"margin": 0.02}, "within noise"),  # all of the interval must be beyond the margin
        (-0.01, 0.03, 0.5, {"margin": 0.02}, "not worse"),
        (-0.018, -0.001, 0.01, {"margin": 0.02}, "not worse"),  # a loss, and one that is tolerated
        (-0.02, 0.03, 0.5, {"margin": 0.02}, "within noise"),
        (-0.05, -0.03, 0.01, {"margin": 0.02}, "worse"),
        (0.01, 0.05, 0.01, {"margin": 0.2}, "better"),  # what is gained needs no margin
        (0.0, 0.05, 0.01, {}, "within noise"),
    ],
)
def test_test_and_interval_must_agree(low, high, p, settings, verdict):
    row = Row("roc_auc", 0.9, 0.9, 0.0, (low, high), "permutation", p, p)
    assert judge(row, rules(**settings)) == verdict


def test_without_a_test_or_an_interval_nothing_is_claimed():
    assert judge(Row("roc_auc", 0.5, 1.0, 0.5, (0.4, 0.5), "permutation", None, None), RULES) == "within noise"
    assert judge(Row("roc_auc", 0.5, 1.0, 0.5, None, "permutation", 0.001, None), RULES) == "within noise"


def test_a_corrected_p_takes_the_place_of_the_rows_own():
    row = Row("roc_auc", 0.9, 0.95, 0.05, (0.01, 0.05), "permutation", 0.01, None)
    assert (judge(row, RULES), judge(row, RULES, 0.2)) == ("better", "within noise")


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy"])
def test_what_does_not_decide_is_corrected_and_what_decides_is_not(metric):
    comparison = compare(BASE, HEAD, rules(metric=metric), resamples=200, seed=0, other_contents=False)
    rest = [row for row in comparison.rows if row.test and row.metric != metric]
    assert len(rest) == 3
    assert [row.p_holm for row in rest] == pytest.approx(multipletests([row.p for row in rest], method="holm")[1])
    assert comparison.row(metric).p_holm == comparison.row(metric).p
    assert any(row.p != row.p_holm for row in rest)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_the_interval_of_two_networks_leaves_out_one_patient_at_a_time(alpha):
    comparison = compare(BASE, HEAD, rules(alpha=alpha), resamples=10, seed=3, other_contents=False)
    sides = (
        recipes.networks("roc_auc", [network.test_scores], [network.threshold])
        for network in (*BASE.networks, *HEAD.networks)
    )
    expected = recipes.difference(*sides).interval(alpha)
    assert comparison.row("roc_auc").interval == pytest.approx(expected, abs=1e-6)


def test_flips_that_went_wrong_come_first_and_of_these_the_largest_move():
    flips = compare(BASE, HEAD, RULES, resamples=200, seed=0, other_contents=False).flips
    order = [(flip["right"], -abs(flip["head"] - flip["base"])) for flip in flips]
    assert order == sorted(order)
    assert {flip["right"] for flip in flips} == {True, False}


def test_a_model_that_says_nothing_against_a_perfect_one_needs_enough_patients():
    for patients, verdict in ((6, "within noise"), (60, "better")):
        base, head = pair(1, (1.0, 1.0), patients=patients)
        y = base.test_scores["label"].to_numpy()
        models = []
        for model, score in ((base, np.full(len(y), 0.4)), (head, 0.1 + 0.8 * y)):
            test = model.test_scores.assign(score=score)
            network = Network(model.name, measured(test, 0.5), 0.5, test.iloc[:0], test)
            models.append(Candidate.of(model.name, [network]))
        assert compare(*models, RULES, resamples=200, seed=0, other_contents=False).verdict == verdict
