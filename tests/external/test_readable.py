import numpy as np
import pandas as pd
import pytest

from pneumo.audit.features import PIXELS
from pneumo.evaluation import decision
from pneumo.external import readable
from pneumo.scoring import scores

RNG = np.random.default_rng(0)


def films(n, *, darker):
    """Features of `n` films, one a patient, whose pneumonias are `darker` standard deviations darker."""
    labels = np.arange(n) % 2
    rows = pd.DataFrame(
        {"image": [f"{k:03}" for k in range(n)], "label": labels, "patient": [f"p{k}" for k in range(n)]}
    )
    measured = pd.DataFrame(RNG.normal(size=(n, len(PIXELS))), columns=list(PIXELS))
    return rows.assign(subtype="unknown"), measured.assign(mean=measured["mean"] - darker * labels)


def without_lungs(rows, measured):
    return readable.without_lungs(decision.calibrated(scores.table(rows, readable.logits(rows, measured)), 1.0))


def test_labels_that_exposure_tells_are_found():
    """Two normal distributions, two standard deviations apart: ROC AUC is Phi(2 / sqrt 2) = 0.921."""
    found = without_lungs(*films(400, darker=2.0))
    assert found["roc_auc"] == pytest.approx(0.921, abs=0.03)
    low, high = found["roc_auc_ci95"]
    assert low < found["roc_auc"] < high


def test_labels_that_nothing_tells_are_at_chance():
    low, high = without_lungs(*films(400, darker=0.0))["roc_auc_ci95"]
    assert low < 0.55
    assert high > 0.45


def test_a_patient_is_never_on_both_sides():
    """Images of one patient alone: what is learnt of the others tells nothing, and folds of images would tell all."""
    rows, measured = films(200, darker=0.0)
    patients = np.arange(200) // 20
    own = pd.DataFrame(RNG.normal(size=(10, len(PIXELS))), columns=list(PIXELS)).iloc[patients].reset_index(drop=True)
    rows = rows.assign(patient=[f"p{k}" for k in patients], label=patients % 2)
    assert without_lungs(rows, 10 * own + 0.01 * measured)["roc_auc"] < 0.85


@pytest.mark.parametrize("patients", [1, 2])
def test_too_few_patients_give_no_figure(patients):
    rows, measured = films(2 * patients, darker=1.0)
    assert without_lungs(rows.assign(patient="p0"), measured)["roc_auc"] is None
