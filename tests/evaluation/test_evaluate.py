import json

import numpy as np
import pytest
from made_scores import NOISE, drawn_scores

from pneumo.evaluation import metrics
from pneumo.evaluation.evaluate import FROM_MODEL, Scored, evaluate, measure, read_logits, score
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


BOOTSTRAP = Bootstrap(resamples=200, seed=0, threshold="redrawn")
POLICY = Threshold(scores="plain", policy="youden", value=None, error_rates=[0.05])


def evaluated(calibrated, names, path, seeds, bootstrap=BOOTSTRAP):
    models = {}
    for name in names:
        model_json = bundle.model_json(calibrated / "models/trained" / name)
        logits = read_logits(scores.paths(calibrated / "outputs", name, name))
        models[name] = Scored.of(model_json, logits, POLICY, bootstrap)
    return evaluate(models, model_json, path, seeds=seeds, prevalence=0.1)


@pytest.mark.parametrize("threshold", ["redrawn", "fixed"])
def test_evaluation_writes_the_metrics_of_a_model(threshold, calibrated, tmp_path):
    name = next(iter(NOISE))
    bootstrap = Bootstrap(resamples=200, seed=0, threshold=threshold)
    values = evaluated(calibrated, [name], tmp_path / "metrics.json", [0], bootstrap)
    assert json.loads((tmp_path / "metrics.json").read_text()) == values
    model_json = bundle.model_json(calibrated / "models/trained" / name)
    assert {key: values[key] for key in FROM_MODEL} == {key: model_json[key] for key in FROM_MODEL}
    test_logits = scores.read_logits(scores.paths(calibrated / "outputs", name, name)["test"])
    score(model_json, test_logits, tmp_path / "scores")
    written = scores.read_scores(tmp_path / "scores/test" / f"{name}.csv")
    np.testing.assert_array_equal(written["logit"], test_logits["logit"])
    assert values["roc_auc"] == metrics.ranking(written["label"], written["score"])["roc_auc"]
    assert list(values["stress"])[:2] == ["plain", "all"]
    assert not {"sd", "seeds", "replicates"} & set(values)
    settings = {"temperature": model_json["temperature"], "prevalence": 0.1}
    fixed = metrics.intervals(written, model_json["threshold"], **settings)
    wider = {key for key, bounds in values["ci95"].items() if bounds != fixed[key]}
    of_decisions = {metric.key for metric in metrics.METRICS if metric.group in ("decision", "prevalence")}
    assert wider == (of_decisions if threshold == "redrawn" else set())


@pytest.mark.parametrize("threshold", ["redrawn", "fixed"])
def test_the_metrics_of_several_seeds_are_their_means_with_what_each_of_them_has(threshold, calibrated, tmp_path):
    bootstrap, path = Bootstrap(resamples=200, seed=0, threshold=threshold), tmp_path / "metrics.json"
    values = evaluated(calibrated, NOISE, path, [0, 1, 7], bootstrap)  # as if these were three seeds of a backbone
    assert values["seeds"] == [0, 1, 7]
    assert list(values["replicates"]) == list(NOISE)
    alone = [evaluated(calibrated, [name], tmp_path / "one.json", [0], bootstrap) for name in NOISE]
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
