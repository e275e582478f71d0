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


POLICIES = [("youden", None), ("f1", None), ("sensitivity", 0.9), ("specificity", 0.9), ("specificity", 1.0)]
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


grades = st.tuples(st.integers(0, 1), st.integers(0, 8), st.lists(st.integers(0, 3), min_size=4, max_size=4))


@pytest.mark.parametrize(("policy", "value"), POLICIES)
@given(st.lists(grades, min_size=2, max_size=30))
def test_a_draw_gives_what_its_images_give_each_as_often_as_it_was_drawn(policy, value, rows):
    """Whatever ties there are; a draw that lacks a class gives none."""
    labels, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    thresholds_of_draws = thresholds.find_each(labels, scores / 8, weights.T.astype(float), policy, value)
    for times, threshold in zip(weights.T, thresholds_of_draws, strict=True):
        drawn = np.repeat(labels, times)
        if len(set(drawn)) < 2:
            assert np.isnan(threshold)
        else:
            assert threshold == thresholds.find(drawn, np.repeat(scores / 8, times), policy, value)


def test_a_fixed_threshold_is_the_same_in_all_draws():
    assert thresholds.find_each(LABELS, SCORES, np.zeros((2, 7)), "fixed", 0.3).tolist() == [0.3, 0.3]


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_specificity_that_some_score_has_exactly_is_not_exceeded(percent):
    labels, scores = [0] * 100 + [1], [*(i / 200 for i in range(100)), 0.9]
    threshold = thresholds.find(labels, scores, "specificity", percent / 100)
    assert sum(score < threshold for score in scores[:100]) == percent
