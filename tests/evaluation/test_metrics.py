import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from pneumo.evaluation import metrics
from pneumo.evaluation.drawn import ratio
from pneumo.evaluation.evaluate import measure

LABELS = [0, 0, 0, 1, 1, 1, 1]
SCORES = [0.1, 0.2, 0.6, 0.3, 0.7, 0.8, 0.9]
SUBTYPES = ["normal"] * 3 + ["viral", "viral", "bacterial", "unknown"]


def table(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    label = np.arange(n) % 2
    logit = rng.normal(2.0 * label - 1, 1.2)
    rows = {"image": [f"{i:03}" for i in range(n)], "patient": [f"p{i // 3}" for i in range(n)], "label": label}
    rows |= {"subtype": np.where(label == 0, "normal", np.where(np.arange(n) % 4 == 1, "viral", "bacterial"))}
    return pd.DataFrame(rows | {"score": 1 / (1 + np.exp(-logit)), "logit": logit})


SETTINGS = {
    "validation": table(),
    "stress_logits": None,
    "temperature": 1.0,
    "prevalence": 0.1,
    "resamples": 400,
    "seed": 0,
}


def test_a_metric_is_added_in_one_place(monkeypatch):
    """Matthews' correlation coefficient: value, interval, and the decision at 0.5."""

    def matthews(drawn):
        tp, fp, fn, tn = drawn.tp, drawn.fp, drawn.fn, drawn.tn
        return ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))

    added = metrics.Metric("mcc", "MCC", "decision", matthews)
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, added))
    values = measure(table(), 0.4, **SETTINGS)
    called = table()["score"] >= 0.4
    assert values["mcc"] == pytest.approx(sk.matthews_corrcoef(table()["label"], called), abs=1e-6)
    low, high = values["ci95"]["mcc"]
    assert low < values["mcc"] < high
    assert "mcc" in values["at_half"]


def test_every_decision_can_be_counted_by_hand():
    assert metrics.decisions(LABELS, SCORES, 0.5, SUBTYPES) == {
        "accuracy": round(5 / 7, 6),
        "recall": 0.75,
        "specificity": round(2 / 3, 6),
        "precision": 0.75,
        "f1": 0.75,
        "recall_bacterial": 1.0,
        "recall_viral": 0.5,
        "tp": 3,
        "fp": 1,
        "tn": 2,
        "fn": 1,
    }
    assert metrics.ranking(LABELS, SCORES) == {
        "roc_auc": round(11 / 12, 6),
        "average_precision": round((1 + 1 + 1 + 4 / 5) / 4, 6),
    }


def test_a_score_at_the_threshold_is_called_pneumonia():
    assert metrics.decisions([0, 1], [0.2, 0.5], 0.5, ["normal", "viral"])["tp"] == 1


def test_recall_of_a_subtype_without_images_is_null():
    assert metrics.decisions([0, 1], [0.2, 0.5], 0.5, ["normal", "viral"])["recall_bacterial"] is None


def test_all_numbers_are_there_and_can_be_written_as_json():
    found = measure(table(), 0.4, **SETTINGS)
    assert {"brier", "ece", "calibration_slope", "calibration_intercept", "ppv", "npv"} <= set(found)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["patients"] == 20
    for name, (low, high) in found["ci95"].items():
        assert low <= found[name] <= high, name
    assert found["at_half"] == metrics.decisions(table()["label"], table()["score"], 0.5, table()["subtype"])


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_scores_without_any_spread_give_numbers_or_null(score):
    """Every image called pneumonia, or none: nothing divides by zero."""
    same = table().assign(score=score, logit=30.0 * (2 * score - 1))
    found = measure(same, 0.5, **SETTINGS)
    assert found["roc_auc"] == 0.5
    assert found["calibration_slope"] is None
    json.dumps(found, allow_nan=False)


def test_ppv_is_bayes_rule_and_at_the_prevalence_of_the_images_their_precision():
    one = table()
    found = measure(one, 0.5, **SETTINGS | {"prevalence": float(one["label"].mean())})
    assert found["ppv"] == pytest.approx(found["precision"], abs=1e-5)
    found = measure(one, 0.5, **SETTINGS)
    assert found["ppv"] < found["precision"]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=4, max_size=40))
def test_the_oracle_is_the_best_of_all_thresholds(pairs):
    labels, scores = np.array([label for label, _ in pairs]), np.array([score for _, score in pairs]) / 10
    if len(set(labels)) < 2:
        return
    found = metrics.oracle(labels, scores)
    accuracies = [np.mean((scores >= at) == labels) for at in (*scores, 2)]
    assert found["accuracy"] == pytest.approx(max(accuracies), abs=1e-6)
    assert np.mean((scores >= found["accuracy_threshold"]) == labels) == pytest.approx(max(accuracies))
    assert "not achievable" in found["note"]


def test_net_benefit_of_treating_all_is_known():
    labels, scores = np.array([0, 1, 1, 0]), np.ones(4)
    assert metrics.net_benefit(labels, scores, [0.2]) == pytest.approx([0.5 - 0.5 * 0.25])


def test_scores_that_do_not_move_have_no_shift_and_moved_ones_are_seen_in_their_class():
    one = table()
    still = metrics.score_shift(one, one, 0.5)
    assert {name: found["ks"] for name, found in still.items()} == {"normal": 0, "pneumonia": 0}
    moved = one.assign(score=one["score"].where(one["label"] == 1, 1 - 0.2 * one["score"]))
    found = metrics.score_shift(one, moved, 0.5)
    assert found["normal"]["ks"] > 0.7
    assert found["normal"]["called_test"] == 1
    assert found["pneumonia"] == still["pneumonia"]


def test_a_part_without_a_class_has_no_shift_of_it():
    one = table()
    found = metrics.score_shift(one[one["label"] == 1], one, 0.5)["normal"]
    assert (found["ks"], found["median_validation"], found["called_validation"]) == (None, None, None)
    assert found["median_test"] is not None
