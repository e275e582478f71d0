import numpy as np
import pytest
from made_scores import NOISE, drawn_logits, drawn_scores

from pneumo.evaluation import bootstrap, decision, thresholds
from pneumo.models import bundle
from pneumo.models.perturbations import NAMES
from pneumo.params import Bootstrap, Threshold
from pneumo.scoring import scores, stress

YOUDEN = Threshold(scores="plain", policy="youden", value=None, error_rates=[0.05])


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
        policy = Threshold(scores=kind, policy="sensitivity", value=0.9, error_rates=[0.05])
        assert decision.find_threshold(val_scores, stress_logits, 1.0, policy) in expected


DRAWS = {"resamples": 300, "seed": 0}


@pytest.mark.parametrize("kind", ["plain", "stress"])
def test_thresholds_are_found_anew_in_draws_of_patients_with_all_their_images_and_copies(kind, monkeypatch):
    val_scores = drawn_scores(1.0, n=40)
    noise = np.random.default_rng(3).normal(0, 1, (40, len(NAMES)))
    stress_logits = stress.table(val_scores, val_scores["logit"].to_numpy()[:, None] + noise)
    policy = Threshold(scores=kind, policy="youden", value=None, error_rates=[0.05])
    found = decision.threshold_draws(val_scores, stress_logits, 1.3, policy, **DRAWS)
    (weights,) = bootstrap.patient_weights(val_scores["patient"], **DRAWS)
    table = decision.selection_scores(val_scores, stress_logits, 1.3, kind).set_index("image")
    for row, threshold in zip(weights[:20], found, strict=False):
        images = np.repeat(val_scores["image"], row.astype(int))
        drawn = table.loc[images]
        assert threshold == thresholds.find(drawn["label"], drawn["score"], "youden")
    monkeypatch.setattr(bootstrap, "CHUNK", 7 * len(table))
    np.testing.assert_array_equal(decision.threshold_draws(val_scores, stress_logits, 1.3, policy, **DRAWS), found)


def test_two_models_get_the_same_draws_whatever_the_order_of_their_images():
    first, second = drawn_scores(1.0), decision.calibrated(drawn_logits(1.0).sample(frac=1, random_state=0), 2.0)
    draws = [decision.threshold_draws(table, None, 1.0, YOUDEN, **DRAWS) for table in (first, second)]
    called = [(first["score"].to_numpy() >= draws[0][:, None]), (second["score"].to_numpy() >= draws[1][:, None])]
    np.testing.assert_array_equal(called[0][:, second.index], called[1])


def test_a_draw_that_lacks_a_class_has_no_threshold():
    two_patients = drawn_scores(1.0, n=2)
    drawn = decision.threshold_draws(two_patients, None, 1.0, YOUDEN, **DRAWS)
    assert 0.4 < np.isnan(drawn).mean() < 0.6


def test_thresholds_are_redrawn_or_taken_for_given_as_the_parameter_says():
    val_scores = drawn_scores(1.0)
    redrawn, fixed = (
        decision.redrawn_thresholds(val_scores, None, 1.0, YOUDEN, Bootstrap(threshold=kind, **DRAWS))
        for kind in ("redrawn", "fixed")
    )
    assert fixed is None
    np.testing.assert_array_equal(redrawn, decision.threshold_draws(val_scores, None, 1.0, YOUDEN, **DRAWS))
