from dataclasses import replace

import numpy as np
import pytest

from pneumo.evaluation.drawn import Drawn, bayes, ratio

LABELS, SCORES = [0, 0, 0, 1, 1, 1, 1], [0.1, 0.2, 0.6, 0.3, 0.7, 0.8, 0.9]


@pytest.mark.parametrize(
    ("numerator", "denominator", "empty", "expected"),
    [
        ([1.0, 0.0], [2.0, 4.0], np.nan, [0.5, 0.0]),
        ([1.0, 0.0], [2.0, 0.0], np.nan, [0.5, np.nan]),
        ([1.0, 0.0], [2.0, 0.0], 0.0, [0.5, 0.0]),
        ([[1.0, 2.0]], [[4.0]], np.nan, [[0.25, 0.5]]),
    ],
)
def test_a_ratio_without_a_denominator_is_empty(numerator, denominator, empty, expected):
    np.testing.assert_array_equal(ratio(np.array(numerator), np.array(denominator), empty), expected)


@pytest.mark.parametrize(("prevalence", "expected"), [(0.5, 0.9 / 1.1), (0.1, 0.09 / 0.27), (1.0, 1.0)])
def test_predictive_values_follow_bayes_rule(prevalence, expected):
    assert bayes(np.array([0.9]), np.array([0.8]), prevalence) == pytest.approx(expected)


def test_a_weight_counts_like_as_many_copies_of_the_image():
    weights = np.array([2, 0, 1, 3, 1, 0, 1])
    weighted = replace(Drawn.once(LABELS, SCORES), weights=weights[None])
    copies = Drawn.once(np.repeat(LABELS, weights), np.repeat(SCORES, weights))
    for key in ("tp", "fp", "fn", "tn"):
        assert getattr(weighted, key) == getattr(copies, key), key


def test_scores_that_tie_are_one_step_of_the_curve():
    pneumonia, normal = Drawn.once([0, 1, 1, 0], [0.3, 0.3, 0.8, 0.1]).by_score
    assert pneumonia.tolist() == [[1, 1, 0]]
    assert normal.tolist() == [[0, 1, 1]]


@pytest.mark.parametrize(("weights", "expected"), [([1, 1, 1], 0.666667), ([2, 0, 1], 2 / 3)])
def test_predictive_values_follow_from_the_reported_recall_and_in_a_resample_from_the_exact_one(weights, expected):
    """Also in a resample that is alone in its chunk: how resamples are cut into chunks changes no number."""
    drawn = replace(Drawn.once([1, 1, 1], [0.9, 0.8, 0.2]), weights=np.array([weights], dtype=float))
    assert drawn.recall[0] == expected
