import numpy as np
import pytest
from hypothesis import example, given
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
def test_the_sensitivity_policy_gives_the_highest_score_with_that_recall(pairs, value):
    labels, scores = map(np.array, zip(*pairs, strict=True))
    threshold = thresholds.find(labels, scores, "sensitivity", value)
    recall = lambda at: np.mean(scores[labels == 1] >= at)  # noqa: E731
    assert recall(threshold) >= value
    assert all(recall(higher) < value for higher in scores if higher > threshold)


@example([(0, 0.0), (0, 1.0), (0, 1.0), (1, 0.0)], 1 / 3)
@example([(0, 0.0), (0, 0.0), (0, 0.0), (1, 0.0)], 2e-230)
@given(labelled, st.floats(0, 1))
def test_the_specificity_policy_gives_the_lowest_score_with_that_specificity(pairs, value):
    labels, scores = map(np.array, zip(*pairs, strict=True))
    threshold = thresholds.find(labels, scores, "specificity", value)
    specificity = lambda at: np.mean(scores[labels == 0] < at)  # noqa: E731
    assert specificity(threshold) >= value
    assert all(specificity(lower) < value for lower in scores if lower < threshold)


@given(labelled)
def test_the_youden_policy_gives_the_best_of_all_scores(pairs):
    labels, scores = map(np.array, zip(*pairs, strict=True))
    index = lambda at: np.mean(scores[labels == 1] >= at) - np.mean(scores[labels == 0] >= at)  # noqa: E731
    assert index(thresholds.find(labels, scores, "youden")) == pytest.approx(max(map(index, scores)))


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_specificity_that_some_score_has_exactly_is_not_exceeded(percent):
    labels, scores = [0] * 100 + [1], [*(i / 200 for i in range(100)), 0.9]
    threshold = thresholds.find(labels, scores, "specificity", percent / 100)
    assert sum(score < threshold for score in scores[:100]) == percent
