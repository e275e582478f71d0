import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumo.evaluation import thresholds

LABELS = [0, 0, 0, 1, 1, 1, 1]
SCORES = [0.1, 0.2, 0.6, 0.3, 0.7, 0.8, 0.9]


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
    assert thresholds.find(LABELS, SCORES, policy, value) == expected


labelled = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=4, max_size=60).filter(
    lambda pairs: len({label for label, _ in pairs}) == 2
)


@given(labelled, st.floats(0, 1))
def test_a_sensitivity_threshold_keeps_its_promise_and_is_the_highest(pairs, wanted):
    labels, scores = map(np.array, zip(*pairs, strict=True))
    found = thresholds.find(labels, scores, "sensitivity", wanted)
    recall = lambda at: np.mean(scores[labels == 1] >= at)  # noqa: E731
    assert recall(found) >= wanted
    assert all(recall(higher) < wanted for higher in scores if higher > found)


@given(labelled, st.floats(0, 1))
def test_a_specificity_threshold_keeps_its_promise_and_is_the_lowest(pairs, wanted):
    labels, scores = map(np.array, zip(*pairs, strict=True))
    found = thresholds.find(labels, scores, "specificity", wanted)
    specificity = lambda at: np.mean(scores[labels == 0] < at)  # noqa: E731
    assert specificity(found) >= wanted
    assert all(specificity(lower) < wanted for lower in scores if lower < found)


@given(labelled)
def test_youden_is_the_best_of_all_thresholds(pairs):
    labels, scores = map(np.array, zip(*pairs, strict=True))
    index = lambda at: np.mean(scores[labels == 1] >= at) - np.mean(scores[labels == 0] >= at)  # noqa: E731
    assert index(thresholds.find(labels, scores, "youden")) == pytest.approx(max(map(index, scores)))


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_specificity_that_can_be_had_exactly_is_not_exceeded(percent):
    labels, scores = [0] * 100 + [1], [*(i / 200 for i in range(100)), 0.9]
    threshold = thresholds.find(labels, scores, "specificity", percent / 100)
    assert sum(score < threshold for score in scores[:100]) == percent
