"""The chosen model elsewhere, by value."""

import pandas as pd
import pytest
from drawn_scores import scored
from sklearn.metrics import roc_auc_score

from pneumo.external import measure


@pytest.fixture(scope="module")
def measured():
    values = {"threshold": 0.5, "temperature": 1.0, "prevalence": 0.1}
    return measure.measure(scored(1, 0.2), scored(0, 3.0), **values)


def test_metrics_are_those_of_the_other_hospital(measured):
    table = scored(1, 0.2)
    assert measured["roc_auc"] == pytest.approx(roc_auc_score(table["label"], table["score"]), abs=1e-6)
    assert measured["accuracy"] == pytest.approx(((table["score"] >= 0.5) == table["label"]).mean(), abs=1e-6)
    assert (measured["n"], measured["patients"]) == (200, 200)
    assert measured["calibration_slope"] < 0.5


def test_the_drop_is_elsewhere_minus_inside_with_an_interval(measured):
    drop = measured["drop"]["roc_auc"]
    inside = scored(0, 3.0)
    assert drop["internal"] == pytest.approx(roc_auc_score(inside["label"], inside["score"]), abs=1e-6)
    assert drop["external"] == measured["roc_auc"]
    low, high = drop["ci95"]
    assert low < drop["difference"] < high < 0


def test_the_interval_of_a_difference_of_proportions_is_newcombes():
    """Method 10 of Newcombe, Statistics in Medicine 17 (1998) 873, has 0.0524 to 0.3339 for 56/70 and 48/80."""
    wilson = {"first": [0.6921, 0.8772], "second": [0.4906, 0.7005]}  # 95 %, without continuity correction
    low, high = measure._difference(56 / 70, wilson["first"], 48 / 80, wilson["second"])
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=3e-3)


@pytest.mark.parametrize(
    ("labels", "scores", "specificity", "recall"),
    [
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1], [0.1] * 9 + [0.8, 0.7, 0.9], 0.9, 1.0),
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1], [0.1] * 8 + [0.8, 0.8, 0.7, 0.9], 0.9, 0.5),
        ([0, 1], [0.9, 0.1], 0.9, 0.0),
        ([1, 1], [0.9, 0.1], 0.9, None),
    ],
)
def test_recall_at_a_specificity(labels, scores, specificity, recall):
    assert measure.recall_at(pd.DataFrame({"label": labels, "score": scores}), specificity) == recall


def test_the_threshold_that_would_have_been_needed():
    table = pd.DataFrame({"label": [1, 1, 1, 1, 0, 0], "score": [0.9, 0.4, 0.3, 0.1, 0.35, 0.05]})
    found = measure.needed(table, 0.7)
    assert {key: found[key] for key in ("threshold", "recall", "specificity")} == {
        "threshold": 0.3,
        "recall": 0.75,
        "specificity": 0.5,
    }
    assert measure.needed(table[table["label"] == 1], 0.7)["threshold"] is None
