import json

import numpy as np
import pytest
from made_scores import NOISE, drawn_scores

from pneumo.evaluation import metrics
from pneumo.evaluation.evaluate import FROM_MODEL, evaluate, measure
from pneumo.models import bundle
from pneumo.params import Bootstrap, Threshold
from pneumo.scoring import scores

TEST = drawn_scores(1.2, n=60, split="test")
SETTINGS = {"thresholds": None, "temperature": 1.0, "prevalence": 0.1}
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


@pytest.mark.parametrize("threshold", ["redrawn", "fixed"])
def test_evaluation_writes_the_scores_and_metrics_of_a_model(threshold, calibrated, tmp_path):
    name = next(iter(NOISE))
    folder = calibrated / "models/trained" / name
    val, stress = (calibrated / "scores" / kind / f"{name}.csv" for kind in ("val", "stress"))
    for path in (val, stress):
        copied = tmp_path / path.relative_to(calibrated)
        copied.parent.mkdir(parents=True)
        copied.write_bytes(path.read_bytes())
    test_logits = scores.read_logits(calibrated / "outputs/test" / f"{name}.csv")
    about = {
        "policy": Threshold(scores="plain", policy="youden", value=None),
        "bootstrap": Bootstrap(resamples=200, seed=0, threshold=threshold),
        "prevalence": 0.1,
    }
    values = evaluate(folder, test_logits, tmp_path / "scores", tmp_path / "metrics.json", **about)
    assert json.loads((tmp_path / "metrics.json").read_text()) == values
    model_json = bundle.model_json(folder)
    assert {key: values[key] for key in FROM_MODEL} == {key: model_json[key] for key in FROM_MODEL}
    test_scores = scores.read_scores(tmp_path / "scores/test" / f"{name}.csv")
    np.testing.assert_array_equal(test_scores["logit"], test_logits["logit"])
    assert values["roc_auc"] == metrics.ranking(test_scores["label"], test_scores["score"])["roc_auc"]
    assert list(values["stress"])[:2] == ["plain", "all"]
    settings = {"temperature": model_json["temperature"], "prevalence": 0.1}
    fixed = metrics.intervals(test_scores, model_json["threshold"], **settings)
    wider = {key for key, bounds in values["ci95"].items() if bounds != fixed[key]}
    of_decisions = {metric.key for metric in metrics.METRICS if metric.group in ("decision", "prevalence")}
    assert wider == (of_decisions if threshold == "redrawn" else set())
