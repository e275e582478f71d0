"""A candidate on the official test set -> its scores and metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from pneumo import files
from pneumo.evaluation import calibration, decision, metrics
from pneumo.evaluation.drawn import Drawn
from pneumo.evaluation.over_seeds import over_seeds
from pneumo.models import bundle
from pneumo.scoring import scores, stress

FROM_MODEL = ("weights", "parameters", "flops", "input_size")


@dataclass(frozen=True)
class Evaluated:
    """A calibrated model and its logits: scores.RAW_COLUMNS on validation and test, stress.COLUMNS under stress."""

    model_json: Mapping[str, Any]
    val: pd.DataFrame
    stress: pd.DataFrame
    test: pd.DataFrame

    @classmethod
    def read(cls, folder: Path, paths: Mapping[str, Path]) -> Self:
        """`folder`: has model.json. `paths`: of val, stress and test, as scores.paths has them."""
        logits = (scores.read_logits(paths["val"]), stress.read_stress(paths["stress"]))
        return cls(bundle.model_json(folder), *logits, scores.read_logits(paths["test"]))


def score(model_json: Mapping[str, Any], logits: pd.DataFrame, scores_folder: Path) -> pd.DataFrame:
    """Write test/NAME.csv below `scores_folder`; returns scores.COLUMNS. `logits`: on the test set, RAW_COLUMNS."""
    scored = decision.calibrated(logits, model_json["temperature"])
    scores.write(scored, scores_folder / "test" / f"{model_json['name']}.csv")
    return scored


def evaluate(
    models: Sequence[Evaluated], metrics_path: Path, *, seeds: Sequence[int], prevalence: float
) -> dict[str, Any]:
    """Write the metrics of a candidate on the test set to `metrics_path`; returns them.

    `models`: its replicates, one for each of `seeds`. `prevalence`: for ppv and npv.
    """
    scored = {
        model.model_json["name"]: decision.calibrated(model.test, model.model_json["temperature"]) for model in models
    }
    measured = {model.model_json["name"]: _measured(model, prevalence) for model in models}
    values = over_seeds(measured, scored, seeds)
    values |= {key: models[0].model_json[key] for key in FROM_MODEL}
    files.write_json(metrics_path, values)
    return values


def selected_figures(
    name: str, scored: pd.DataFrame, temperature: float, threshold: float, *, prevalence: float
) -> dict[str, Any]:
    """What metrics/best.json says of the model in models/best where its candidate has several seeds: its name as
    `replicate`, and its figures as `selected`. `scored`: scores.COLUMNS on the test set.
    """
    selected = figures(scored, threshold, temperature=temperature, prevalence=prevalence)
    return {"replicate": name, "selected": selected}


def line(metrics: Mapping[str, Any]) -> str:
    """What a stage prints of a candidate."""
    seeds = f", mean of {len(metrics['seeds'])} seeds" if "seeds" in metrics else ""
    return (
        f"test accuracy {metrics['accuracy']:.3f}, recall {metrics['recall']:.3f}, specificity "
        f"{metrics['specificity']:.3f}, ROC AUC {metrics['roc_auc']:.3f} on {metrics['n']} images{seeds}"
    )


def _measured(model: Evaluated, prevalence: float) -> dict[str, Any]:
    model_json, temperature = model.model_json, model.model_json["temperature"]
    values = measure(
        decision.calibrated(model.test, temperature),
        model_json["threshold"],
        validation=decision.calibrated(model.val, temperature),
        stress_logits=model.stress,
        temperature=temperature,
        prevalence=prevalence,
    )
    return values | ({"members": list(model_json["members"])} if "members" in model_json else {})


def measure(
    table: pd.DataFrame,
    threshold: float,
    *,
    validation: pd.DataFrame,
    stress_logits: pd.DataFrame | None,
    temperature: float,
    prevalence: float,
) -> dict[str, Any]:
    """All numbers of the test set, to six digits; null where a number is undefined.

    `table`, `validation`: scores.COLUMNS of test and validation. `stress_logits`: stress.COLUMNS of validation, or None
    for a model without images. `prevalence`: of pneumonia, assumed for `ppv` and `npv`.

    In the result, beside what `figures` has, `at_half`: decisions at 0.5. `uncalibrated`: calibration before
    temperature scaling. `score_shift`: validation against test. `stress`: of validation images. `oracle`: see its note.
    """
    at_half = Drawn.of(table, 0.5)
    uncalibrated = table.assign(score=calibration.calibrate(table["logit"], 1.0))
    return {
        **figures(table, threshold, temperature=temperature, prevalence=prevalence),
        "at_half": {**metrics.values(at_half, "decision"), **metrics.counts(at_half)},
        "uncalibrated": metrics.values(Drawn.of(uncalibrated, threshold), "calibration"),
        "score_shift": metrics.score_shift(validation, table, threshold),
        "oracle": metrics.oracle(table["label"], table["score"]),
        **(
            {}
            if stress_logits is None
            else {"stress": metrics.stress_table(validation, stress_logits, temperature, threshold)}
        ),
    }


def figures(table: pd.DataFrame, threshold: float, *, temperature: float, prevalence: float) -> dict[str, Any]:
    """All metrics of one set of images, to six digits, with what they rest on; null where one is undefined.

    `table`: scores.COLUMNS. `prevalence`: of pneumonia, assumed for `ppv` and `npv`. `ci95`: 95 % intervals over
    patients (`intervals`).
    """
    images = Drawn.of(table, threshold, temperature=temperature, prevalence=prevalence)
    return {
        "n": len(table),
        "patients": int(table["patient"].nunique()),
        **metrics.values(images, "decision"),
        **metrics.counts(images),
        **metrics.values(images, "prevalence"),
        "prevalence": prevalence,
        **metrics.values(images, "ranking"),
        **metrics.values(images, "calibration"),
        "threshold": threshold,
        "temperature": temperature,
        "ci95": metrics.intervals(table, threshold, temperature=temperature, prevalence=prevalence),
    }
