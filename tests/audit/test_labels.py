import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from pneumo.audit import labels
from pneumo.evaluation import suspected

pytestmark = pytest.mark.slow


def test_exposure_changes_no_feature(pixels):
    some = np.asarray(pixels[:4])
    darker = (some // 2 + 20).astype(np.uint8)
    assert np.corrcoef(labels.describe(some).ravel(), labels.describe(darker).ravel())[0, 1] > 0.999


def test_a_gradient_counts_for_its_direction():
    ramp = np.stack([np.tile(np.arange(64, dtype=np.float32), (64, 1)), np.tile(np.arange(64.0)[:, None], (1, 64))])
    gradients = labels._gradients(ramp.astype(np.float32))
    assert gradients.shape == (2, 8, 8, 8)
    assert (gradients[0].argmax(axis=-1) == 0).all()
    assert (gradients[1].argmax(axis=-1) == 4).all()


def test_blocks_change_nothing(pixels, monkeypatch):
    whole = labels.describe(np.asarray(pixels[:9]))
    monkeypatch.setattr(labels, "BLOCK", 4)
    np.testing.assert_array_equal(labels.describe(np.asarray(pixels[:9])), whole)


def test_probabilities_are_of_the_given_label(table, pixels, monkeypatch):
    monkeypatch.setattr(labels, "MAX_PROBABILITY", 1.0)
    with threadpool_limits(1):
        listed = labels.suspected(table, pixels)
    assert list(listed.columns) == list(suspected.COLUMNS)
    assert listed["probability"].is_monotonic_increasing
    assert (listed["probability"] < 0.5).all()


def test_too_few_patients_leave_a_table_without_rows(table, pixels):
    few = table.groupby("label").head(1)
    listed = labels.suspected(few, pixels[few.index])
    assert listed.empty
    assert list(listed.columns) == list(suspected.COLUMNS)
