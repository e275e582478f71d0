"""On 300 simulated pairs the verdict is wrong no more often than it may be: alpha 0.05, two-sided."""

import pytest

from benchmarks.review import rates

PAIRS, PATIENTS = 300, 430
ERROR = 3 * (0.025 * 0.975 / PAIRS) ** 0.5  # three standard errors of the simulation: 2.7 %


@pytest.mark.slow
def test_equal_models_are_within_noise_at_the_nominal_rate():
    shares = rates("equal", PATIENTS, pairs=PAIRS, resamples=200)
    assert set(shares.index) == {"roc_auc", "accuracy", "recall", "specificity"}
    assert (shares["better"] <= 0.025 + ERROR).all(), shares
    assert (shares["worse"] <= 0.025 + ERROR).all(), shares
    assert shares.loc["roc_auc", "within noise"] <= 0.99, "a test that never finds anything is no test"


@pytest.mark.slow
def test_a_better_model_is_called_better():
    shares = rates("better", PATIENTS, pairs=PAIRS, resamples=200)
    assert shares.loc["roc_auc", "better"] > 0.7, shares
    assert (shares["worse"] <= 0.01).all(), shares


@pytest.mark.slow
def test_images_taken_for_independent_ones_would_err_more_often():
    images = rates("equal", PATIENTS, pairs=PAIRS, resamples=200, images=True)
    assert images.loc["roc_auc", "within noise"] < 0.93, images
