from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_scores import drawn_scores
from sklearn import metrics as sk

from pneumo.evaluation import metrics
from pneumo.evaluation.drawn import Drawn, ratio
from pneumo.evaluation.evaluate import measure

LABELS = [0, 0, 0, 1, 1, 1, 1]
SCORES = [0.1, 0.2, 0.6, 0.3, 0.7, 0.8, 0.9]
SUBTYPES = ["normal"] * 3 + ["viral", "viral", "bacterial", "unknown"]
ORACLES = {  # key -> scikit-learn's definition, of labels, scores, decisions and weights
    "accuracy": lambda y, s, called, w: sk.accuracy_score(y, called, sample_weight=w),
    "recall": lambda y, s, called, w: sk.recall_score(y, called, sample_weight=w),
    "specificity": lambda y, s, called, w: sk.recall_score(y, called, pos_label=0, sample_weight=w),
    "precision": lambda y, s, called, w: sk.precision_score(y, called, zero_division=np.nan, sample_weight=w),
    "f1": lambda y, s, called, w: sk.f1_score(y, called, sample_weight=w),
    "recall_viral": lambda y, s, called, w: sk.recall_score(y, called, sample_weight=w),
    "roc_auc": lambda y, s, called, w: sk.roc_auc_score(y, s, sample_weight=w),
    "average_precision": lambda y, s, called, w: sk.average_precision_score(y, s, sample_weight=w),
    "brier": lambda y, s, called, w: sk.brier_score_loss(y, s, sample_weight=w),
}


@settings(max_examples=50, deadline=None)  # scikit-learn takes its time
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 3)), min_size=4, max_size=40).filter(
        lambda rows: len({label for label, _, weight in rows if weight}) == 2
    )
)
def test_weighted_metrics_are_those_of_scikit_learn(rows):
    y, grades, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    s = grades / 5
    drawn = replace(Drawn.once(y, s, 0.5, np.full(len(y), "viral")), weights=w[None])
    for key, oracle in ORACLES.items():
        expected = oracle(y, s, s >= 0.5, w)
        assert metrics.BY_KEY[key].of(drawn)[0] == pytest.approx(expected, nan_ok=True), key


@pytest.mark.parametrize("metric", metrics.METRICS, ids=lambda metric: metric.key)
def test_the_value_of_a_metric_is_its_definition_with_every_image_once(metric):
    """And each row of a resample is computed on its own."""
    once = Drawn.of(drawn_scores(1.2), 0.4, temperature=1.3, prevalence=0.1)
    value = metrics.values(once, metric.group)[metric.key]
    assert value == metrics.rounded(metric.of(once)[0])
    weights = np.random.default_rng(0).integers(0, 3, (4, len(once.labels))).astype(float)
    together = metric.of(replace(once, weights=weights))
    alone = [metric.of(replace(once, weights=row[None]))[0] for row in weights]
    assert together == pytest.approx(alone, rel=1e-9)


@pytest.mark.parametrize(
    ("key", "labels", "scores", "value"),
    [
        ("precision", [0, 1, 1], [0.1, 0.2, 0.3], 0.0),  # nothing is called pneumonia
        ("f1", [0, 0, 0], [0.1, 0.2, 0.3], 0.0),
        ("recall", [0, 0, 0], [0.1, 0.2, 0.9], 0.0),
        ("specificity", [1, 1, 1], [0.1, 0.2, 0.9], 0.0),
        ("recall_bacterial", [0, 1, 1], [0.1, 0.2, 0.9], None),
        ("roc_auc", [1, 1, 1], [0.1, 0.2, 0.9], None),
        ("average_precision", [0, 0, 0], [0.1, 0.2, 0.9], None),
        ("calibration_slope", [1, 1, 1], [0.1, 0.2, 0.9], None),
        ("calibration_intercept", [1, 1, 1], [0.1, 0.2, 0.9], None),
    ],
)
def test_without_a_denominator_a_value_is_what_the_table_says_and_a_resample_is_left_out(key, labels, scores, value):
    drawn = replace(Drawn.once(labels, scores), logits=np.array(scores))
    metric = metrics.BY_KEY[key]
    assert np.isnan(metric.of(drawn)).all()
    assert metrics.values(drawn, metric.group)[key] == value == metric.undefined


def test_a_metric_is_added_in_one_place(monkeypatch):
    """Matthews' correlation coefficient: value, interval, words, and the decision at 0.5."""

    def matthews(drawn):
        tp, fp, fn, tn = drawn.tp, drawn.fp, drawn.fn, drawn.tn
        return ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))

    added = (*metrics.METRICS, metrics.Metric("mcc", "MCC", "decision", matthews, headline=True))
    monkeypatch.setattr(metrics, "METRICS", added)
    table = drawn_scores(1.2, n=60)
    about = {"thresholds": None, "temperature": 1.0, "prevalence": 0.1}
    values = measure(table, 0.4, validation=table, stress_logits=None, **about)
    assert values["mcc"] == pytest.approx(sk.matthews_corrcoef(table["label"], table["score"] >= 0.4), abs=1e-6)
    low, high = values["ci95"]["mcc"]
    assert low < values["mcc"] < high
    assert "mcc" in values["at_half"]
    assert metrics.headline_words(added) == metrics.WORDS | {"mcc": "MCC"}


def test_keys_and_words_name_one_metric_each():
    assert len(metrics.BY_KEY) == len({metric.words for metric in metrics.METRICS}) == len(metrics.METRICS)


def test_the_columns_of_the_report_are_rankings_then_decisions():
    decisions = ["accuracy", "recall", "specificity", "precision", "f1"]
    assert list(metrics.WORDS) == ["roc_auc", "average_precision", *decisions]


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


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=4, max_size=40).filter(
        lambda pairs: len({label for label, _ in pairs}) == 2
    )
)
def test_the_oracle_is_the_best_of_all_thresholds(pairs):
    labels, grades = (np.array(column) for column in zip(*pairs, strict=True))
    scores = grades / 10
    oracle = metrics.oracle(labels, scores)
    accuracies = [np.mean((scores >= at) == labels) for at in (*scores, 2)]
    assert oracle["accuracy"] == pytest.approx(max(accuracies), abs=1e-6)
    assert np.mean((scores >= oracle["accuracy_threshold"]) == labels) == pytest.approx(max(accuracies))
    assert "not achievable" in oracle["note"]


def test_the_net_benefit_of_treating_all_is_known():
    labels, scores = np.array([0, 1, 1, 0]), np.ones(4)
    assert metrics.net_benefit(labels, scores, [0.2]) == pytest.approx([0.5 - 0.5 * 0.25])


def test_scores_that_do_not_move_have_no_shift_and_moved_ones_are_seen_in_their_class():
    validation = drawn_scores(1.2, n=60)
    still = metrics.score_shift(validation, validation, 0.5)
    assert {name: shift["ks"] for name, shift in still.items()} == {"normal": 0, "pneumonia": 0}
    test = validation.assign(score=validation["score"].where(validation["label"] == 1, 1 - 0.2 * validation["score"]))
    moved = metrics.score_shift(validation, test, 0.5)
    assert moved["normal"]["ks"] > 0.7
    assert moved["normal"]["called_test"] == 1
    assert moved["pneumonia"] == still["pneumonia"]


def test_a_set_without_a_class_has_no_shift_of_it():
    test = drawn_scores(1.2, n=60)
    shift = metrics.score_shift(test[test["label"] == 1], test, 0.5)["normal"]
    assert (shift["ks"], shift["median_validation"], shift["called_validation"]) == (None, None, None)
    assert shift["median_test"] is not None
