import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumo import metrics
from pneumo.errors import ManifestError

LABELS = [0, 0, 0, 1, 1, 1, 1]
SCORES = [0.1, 0.2, 0.6, 0.3, 0.7, 0.8, 0.9]


def test_every_number_can_be_counted_by_hand():
    found = metrics.evaluate(LABELS, SCORES, 0.5)
    assert found == {
        "n": 7,
        "accuracy": round(5 / 7, 6),
        "recall": 0.75,
        "specificity": round(2 / 3, 6),
        "precision": 0.75,
        "f1": 0.75,
        "roc_auc": round(11 / 12, 6),
        "average_precision": round((1 + 1 + 1 + 4 / 5) / 4, 6),
        "threshold": 0.5,
        "tp": 3,
        "fp": 1,
        "tn": 2,
        "fn": 1,
    }


def test_a_score_at_the_threshold_is_called_pneumonia():
    assert metrics.evaluate([0, 1], [0.2, 0.5], 0.5)["tp"] == 1


@pytest.mark.parametrize(
    ("policy", "value", "expected"),
    [
        ("youden", None, 0.7),
        ("f1", None, 0.3),
        ("sensitivity", 0.75, 0.7),
        ("sensitivity", 1.0, 0.3),
        ("specificity", 1.0, 0.7),
        ("specificity", 0.6, 0.3),
        ("fixed", 0.5, 0.5),
    ],
)
def test_threshold_policies(policy, value, expected):
    assert metrics.threshold(LABELS, SCORES, policy, value) == expected


labelled = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=4, max_size=60).filter(
    lambda pairs: len({label for label, _ in pairs}) == 2
)


@given(labelled, st.floats(0, 1))
def test_a_sensitivity_threshold_keeps_its_promise_and_is_the_highest(pairs, wanted):
    labels, scores = map(np.array, zip(*pairs, strict=True))
    found = metrics.threshold(labels, scores, "sensitivity", wanted)
    recall = lambda at: np.mean(scores[labels == 1] >= at)  # noqa: E731
    assert recall(found) >= wanted
    assert all(recall(higher) < wanted for higher in scores if higher > found)


@given(labelled, st.floats(0, 1))
def test_a_specificity_threshold_keeps_its_promise_and_is_the_lowest(pairs, wanted):
    labels, scores = map(np.array, zip(*pairs, strict=True))
    found = metrics.threshold(labels, scores, "specificity", wanted)
    specificity = lambda at: np.mean(scores[labels == 0] < at)  # noqa: E731
    assert specificity(found) >= wanted
    assert all(specificity(lower) < wanted for lower in scores if lower < found)


@given(labelled)
def test_youden_is_the_best_of_all_thresholds(pairs):
    labels, scores = map(np.array, zip(*pairs, strict=True))
    index = lambda at: np.mean(scores[labels == 1] >= at) - np.mean(scores[labels == 0] >= at)  # noqa: E731
    assert index(metrics.threshold(labels, scores, "youden")) == pytest.approx(max(map(index, scores)))


def table(**changes) -> pd.DataFrame:
    rows = {"image": ["b", "a"], "patient": ["1", "2"], "label": [1, 0], "subtype": ["viral", "normal"]}
    return pd.DataFrame(rows | {"score": [0.123456789, 1e-9]} | changes)


def test_scores_are_sorted_and_have_six_significant_digits(tmp_path):
    metrics.write_scores(table(), tmp_path / "new" / "scores.csv")
    assert (tmp_path / "new" / "scores.csv").read_text().splitlines()[1:] == [
        "a,2,0,normal,1e-09",
        "b,1,1,viral,0.123457",
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"score": [0.2, 1.2]}, "score of a is not a probability"),
        ({"score": [0.2, float("nan")]}, "score of a is not a probability"),
        ({"image": ["a", "a"]}, "a has two scores"),
    ],
)
def test_broken_scores_are_refused(tmp_path, changes, says):
    metrics.write_scores(table(**changes), tmp_path / "scores.csv")
    with pytest.raises(ManifestError, match=says):
        metrics.read_scores(tmp_path / "scores.csv")


def test_missing_scores_say_what_to_run(tmp_path):
    with pytest.raises(ManifestError, match="dvc repro"):
        metrics.read_scores(tmp_path / "scores.csv")
