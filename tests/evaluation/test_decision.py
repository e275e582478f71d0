import numpy as np
import pytest
from made_scores import NOISE, drawn_logits, drawn_scores

from pneumo.evaluation import decision
from pneumo.models import bundle
from pneumo.models.perturbations import NAMES
from pneumo.params import Threshold
from pneumo.scoring import scores, stress

YOUDEN = Threshold(scores="plain", policy="youden", value=None)


def test_calibration_completes_the_model_and_writes_its_scores(calibrated):
    for name in NOISE:
        model_json = bundle.model_json(calibrated / "models/trained" / name)
        assert model_json["views"] == {"flip": False, "zooms": [1.0]}
        assert model_json["threshold_policy"] == YOUDEN.model_dump()
        val_scores = scores.read_scores(calibrated / "scores/val" / f"{name}.csv")
        assert model_json["threshold"] in set(val_scores["score"])
        expected = decision.calibrated(val_scores, model_json["temperature"])["score"]
        np.testing.assert_array_equal(val_scores["score"], expected)
        outputs = scores.paths(calibrated / "outputs", name, name)["stress"]
        copied = calibrated / "scores/stress" / f"{name}.csv"
        assert copied.read_bytes() == outputs.read_bytes()


def test_a_worse_model_gets_a_higher_temperature():
    good, bad = (decision.decide(drawn_logits(noise), None, YOUDEN)[1]["temperature"] for noise in (0.8, 6.0))
    assert good < bad


def test_selection_scores_are_the_plain_ones_or_all_under_stress():
    val_scores = drawn_scores(1.0, n=20)
    stress_logits = stress.table(val_scores, np.ones((20, len(NAMES))))
    assert decision.selection_scores(val_scores, stress_logits, 2.0, "plain") is val_scores
    under_stress = decision.selection_scores(val_scores, stress_logits, 2.0, "stress")
    assert len(under_stress) == 20 * len(NAMES)
    assert set(under_stress["score"]) == {0.622459}  # 1 / (1 + exp(-1 / 2))


def test_scores_under_stress_need_logits_under_stress():
    with pytest.raises(ValueError, match="stress_logits is None; pass"):
        decision.selection_scores(drawn_scores(1.0), None, 1.0, "stress")


def test_the_threshold_is_set_on_the_scores_that_the_policy_names():
    val_scores = drawn_scores(1.0)
    stress_logits = stress.table(val_scores, np.full((len(val_scores), len(NAMES)), -3.0))
    for kind, expected in (("plain", set(val_scores["score"])), ("stress", {0.0474259})):
        policy = Threshold(scores=kind, policy="sensitivity", value=0.9)
        assert decision.find_threshold(val_scores, stress_logits, 1.0, policy) in expected
