import json

import numpy as np
import pytest
from made_scores import NOISE, drawn_scores

from pneumo.evaluation import metrics
from pneumo.evaluation.evaluate import FROM_MODEL, Evaluated, evaluate, measure, score
from pneumo.scoring import scores

TEST = drawn_scores(1.2, n=60, split="test")
SETTINGS = {"temperature": 1.0, "prevalence": 0.1}
MEASURED = measure(TEST, 0.4, validation=TEST, stress_logits=None, **SETTINGS)


def test_every_metric_has_its_value_and_its_interval():
    assert set(metrics.BY_KEY) <= set(MEASURED)
    assert list(MEASURED["ci95"]) == [metric.key for metric in metrics.METRICS if metric.interval]
    for key, (low, high) in MEASURED["ci95"].items():
        assert low <= MEASURED[key] <= high, key


def test_all_numbers_can_be_written_as_json():
    assert json.loads(json.dumps(MEASURED, allow_nan=False)) == MEASURED


def test_at_half_has_the_decisions_at_one_half():
    assert MEASURED["at_half"] == metrics.decisions(TEST["label"], TEST["score"], 0.5, TEST["subtype"])


def test_images_and_patients_are_counted():
    assert (MEASURED["n"], MEASURED["patients"]) == (60, 30)


def test_only_models_with_images_have_figures_under_stress():
    assert "stress" not in MEASURED


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_scores_without_any_spread_give_numbers_or_null(score):
    """Every image called pneumonia, or none: nothing divides by zero."""
    same = TEST.assign(score=score, logit=30.0 * (2 * score - 1))
    values = measure(same, 0.5, validation=TEST, stress_logits=None, **SETTINGS)
    assert values["roc_auc"] == 0.5
    assert values["calibration_slope"] is None
    json.dumps(values, allow_nan=False)


def test_at_the_prevalence_of_the_images_ppv_is_precision_and_below_it_less():
    prevalence = float(TEST["label"].mean())
    values = measure(TEST, 0.4, validation=TEST, stress_logits=None, **SETTINGS | {"prevalence": prevalence})
    assert values["ppv"] == pytest.approx(values["precision"], abs=1e-5)
    assert MEASURED["ppv"] < MEASURED["precision"]


def test_calibration_before_temperature_scaling_is_that_of_the_logits():
    hot = measure(TEST, 0.4, validation=TEST, stress_logits=None, **SETTINGS | {"temperature": 3.0})
    assert hot["uncalibrated"]["ece"] == MEASURED["uncalibrated"]["ece"] == pytest.approx(MEASURED["ece"], abs=1e-6)


def evaluated(calibrated, name) -> Evaluated:
    return Evaluated.read(calibrated / "models/trained" / name, scores.paths(calibrated / "outputs", name, name))


def test_evaluation_writes_the_metrics_of_a_model(calibrated, tmp_path):
    name = next(iter(NOISE))
    model = evaluated(calibrated, name)
    values = evaluate([model], tmp_path / "metrics.json", seeds=[0], prevalence=0.1)
    assert json.loads((tmp_path / "metrics.json").read_text()) == values
    assert {key: values[key] for key in FROM_MODEL} == {key: model.model_json[key] for key in FROM_MODEL}
    scored = score(model.model_json, model.test, tmp_path / "scores")
    written = scores.read_scores(tmp_path / "scores/test" / f"{name}.csv")
    np.testing.assert_array_equal(written["logit"], model.test["logit"])
    assert values["roc_auc"] == metrics.ranking(scored["label"], written["score"])["roc_auc"]
    assert list(values["stress"])[:2] == ["plain", "all"]
    assert not {"sd", "seeds", "replicates"} & set(values)


def test_the_metrics_of_several_seeds_are_their_means_with_what_each_of_them_has(calibrated, tmp_path):
    models = [evaluated(calibrated, name) for name in NOISE]  # as if these were three seeds of a backbone
    values = evaluate(models, tmp_path / "metrics.json", seeds=[0, 1, 7], prevalence=0.1)
    assert values["seeds"] == [0, 1, 7]
    assert list(values["replicates"]) == list(NOISE)
    alone = [evaluate([model], tmp_path / "one.json", seeds=[0], prevalence=0.1) for model in models]
    for key in metrics.BY_KEY:
        of_each = [each[key] for each in alone]
        assert values[key] == pytest.approx(np.mean(of_each), abs=1e-6), key
        assert values["sd"][key] == pytest.approx(np.std(of_each, ddof=1), abs=1e-6), key
    for each, replicate in zip(alone, values["replicates"].values(), strict=True):
        assert all(each[key] == value for key, value in replicate.items() if key != "seed")
    assert values["stress"]["all"]["roc_auc"] == pytest.approx(
        np.mean([each["stress"]["all"]["roc_auc"] for each in alone]), abs=1e-6
    )
    low, high = values["ci95"]["roc_auc"]
    assert low < min(each["roc_auc"] for each in alone), "three networks as different as these: seeds count"
    assert high > max(each["roc_auc"] for each in alone)
