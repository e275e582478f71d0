import numpy as np
import pytest
import statsmodels.api as sm
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from torchmetrics.classification import BinaryCalibrationError

from pneumo.evaluation import calibration

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0.5, 2, 300)
LABELS = (RNG.random(300) < 1 / (1 + np.exp(-LOGITS / 1.7 + 0.3))).astype(int)
SCORES = calibration.calibrate(LOGITS, 1.0)


def test_the_temperature_minimises_the_log_loss():
    temperature = calibration.temperature(LABELS, LOGITS)
    losses = {t: log_loss(LABELS, calibration.calibrate(LOGITS, t)) for t in np.geomspace(0.1, 10, 400)}
    assert log_loss(LABELS, calibration.calibrate(LOGITS, temperature)) <= min(losses.values()) + 1e-9
    assert temperature == pytest.approx(min(losses, key=losses.__getitem__), rel=0.02)


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
    labels, scores = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    expected = float(BinaryCalibrationError(n_bins=10, norm="l1")(torch.tensor(scores), torch.tensor(labels)))
    for weights in (np.ones((1, len(labels))), np.full((1, len(labels)), 3.0)):
        assert calibration.expected_errors(labels, scores, weights) == pytest.approx(expected, abs=1e-5)


def test_a_score_of_one_is_in_the_last_bin():
    assert calibration.bin_of([0.0, 0.1, 0.95, 1.0]).tolist() == [0, 1, 9, 9]


def test_slopes_and_intercepts_are_those_of_statsmodels_on_repeated_images():
    binomial = sm.families.Binomial()
    weights = np.vstack([np.ones(300, dtype=int), RNG.multinomial(300, np.full(300, 1 / 300), size=3)])
    slopes = calibration.slopes(LABELS.astype(float), LOGITS, weights.astype(float))
    intercepts = calibration.intercepts(LABELS.astype(float), LOGITS, weights.astype(float))
    for row, slope, intercept in zip(weights, slopes, intercepts, strict=True):
        y, z = np.repeat(LABELS, row), np.repeat(LOGITS, row)
        joint = sm.GLM(y, sm.add_constant(z), family=binomial).fit()
        shift = sm.GLM(y, np.ones_like(z), family=binomial, offset=z).fit()
        assert slope == pytest.approx(joint.params[1], rel=1e-6)
        assert intercept == pytest.approx(shift.params[0], rel=1e-6)


@pytest.mark.parametrize(
    ("labels", "logits", "slope", "intercept"),
    [
        ([0, 0, 1, 1], [-3.0, -2.0, 2.0, 3.0], False, True),  # separated
        ([1, 1, 1, 1], [0.1, 0.2, 0.3, 0.4], False, False),
        ([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], True, True),
    ],
)
def test_what_one_class_or_separated_classes_leave_undefined_is_nan(labels, logits, slope, intercept):
    y, z, once = np.array(labels, float), np.array(logits), np.ones((1, len(labels)))
    assert np.isfinite(calibration.slopes(y, z, once))[0] == slope
    assert np.isfinite(calibration.intercepts(y, z, once))[0] == intercept


def test_the_reliability_table_counts_every_image_once():
    table = calibration.reliability(LABELS, SCORES)
    assert table["n"].sum() == 300
    assert (table["observed"] * table["n"]).sum() == pytest.approx(LABELS.sum())
    assert ((table["low"] <= table["observed"]) & (table["observed"] <= table["high"])).all()
