import numpy as np
import pytest
import statsmodels.api as sm
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.classification import BinaryCalibrationError

from pneumo.evaluation import calibration

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0.5, 2, 300)
LABELS = (RNG.random(300) < 1 / (1 + np.exp(-LOGITS / 1.7 + 0.3))).astype(int)
SCORES = calibration.calibrate(LOGITS, 1.0)


def test_the_temperature_minimises_the_log_loss():
    found = calibration.temperature(LABELS, LOGITS)
    losses = {t: log_loss(LABELS, calibration.calibrate(LOGITS, t)) for t in np.geomspace(0.1, 10, 400)}
    assert log_loss(LABELS, calibration.calibrate(LOGITS, found)) <= min(losses.values()) + 1e-9
    assert found == pytest.approx(min(losses, key=losses.__getitem__), rel=0.02)


@pytest.mark.parametrize("logits", [[-3.0, -2.0, 2.0, 3.0], [3.0, 2.0, -2.0, -3.0], [0.0, 0.0, 0.0, 0.0]])
def test_separable_and_useless_logits_give_a_finite_temperature(logits):
    low, high = calibration.TEMPERATURES
    assert low <= calibration.temperature([0, 0, 1, 1], logits) <= high


def test_scaling_does_not_change_the_order():
    assert (np.argsort(calibration.calibrate(LOGITS, 3.3)) == np.argsort(LOGITS)).all()


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 0.9990000128746033, width=32)), min_size=1, max_size=80))
def test_the_expected_error_is_that_of_torchmetrics(pairs):
    # On the border of two bins float32 and float64 may fall on different sides.
    pairs = [(label, score) for label, score in pairs if abs(score * 10 - round(score * 10)) > 1e-4] or [(1, 0.55)]
    labels, scores = map(np.array, zip(*pairs, strict=True))
    theirs = BinaryCalibrationError(n_bins=10, norm="l1")(torch.tensor(scores), torch.tensor(labels))
    assert calibration.expected_error(labels, scores) == pytest.approx(float(theirs), abs=1e-5)


def test_the_brier_score_is_that_of_scikit_learn():
    assert calibration.brier(LABELS, SCORES) == pytest.approx(brier_score_loss(LABELS, SCORES))


def test_slope_and_intercept_are_those_of_statsmodels():
    binomial = sm.families.Binomial()
    joint = sm.GLM(LABELS, sm.add_constant(LOGITS), family=binomial).fit()
    shift = sm.GLM(LABELS, np.ones_like(LOGITS), family=binomial, offset=LOGITS).fit()
    assert calibration.slope(LABELS, LOGITS) == pytest.approx(joint.params[1], rel=1e-6)
    assert calibration.intercept(LABELS, LOGITS) == pytest.approx(shift.params[0], rel=1e-6)


def test_slopes_under_weights_are_those_of_statsmodels_on_repeated_images():
    weights = RNG.multinomial(300, np.full(300, 1 / 300), size=3)
    found = calibration.slopes(LABELS.astype(float), LOGITS, weights.astype(float))
    shifts = calibration.intercepts(LABELS.astype(float), LOGITS, weights.astype(float))
    for row, slope, shift in zip(weights, found, shifts, strict=True):
        y, z = np.repeat(LABELS, row), np.repeat(LOGITS, row)
        assert slope == pytest.approx(calibration.slope(y, z), rel=1e-6)
        assert shift == pytest.approx(calibration.intercept(y, z), rel=1e-6)


def test_logits_that_separate_the_labels_have_no_slope():
    assert np.isnan(calibration.slope([0, 0, 1, 1], [-3.0, -2.0, 2.0, 3.0]))
    assert np.isnan(calibration.intercept([1, 1], [0.1, 0.2]))


def test_the_reliability_table_counts_every_image_once():
    table = calibration.reliability(LABELS, SCORES)
    assert table["n"].sum() == 300
    assert (table["observed"] * table["n"]).sum() == pytest.approx(LABELS.sum())
    assert ((table["low"] <= table["observed"]) & (table["observed"] <= table["high"])).all()
