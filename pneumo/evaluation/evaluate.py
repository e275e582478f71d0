"""One model on the official test set -> its scores and metrics."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo import files
from pneumo.evaluation import calibration, decision, metrics
from pneumo.evaluation.drawn import Drawn
from pneumo.models import bundle
from pneumo.scoring import scores, stress

if TYPE_CHECKING:
    from pneumo.params import Bootstrap, Threshold

FROM_MODEL = ("weights", "parameters", "flops", "input_size")


def evaluate(
    folder: Path,
    logits: pd.DataFrame,
    scores_folder: Path,
    metrics_path: Path,
    *,
    policy: "Threshold",
    bootstrap: "Bootstrap",
    prevalence: float,
) -> dict[str, Any]:
    """Write test/NAME.csv below `scores_folder` and the metrics to `metrics_path`; returns the metrics.

    `folder`: has model.json of a backbone or an ensemble. `logits`: its outputs on the test set, scores.RAW_COLUMNS.
    Its validation scores, plain and under stress, are read from `scores_folder`. `policy`: that of its threshold.
    `prevalence`: for ppv and npv.
    """
    model_json = bundle.model_json(folder)
    name, temperature = model_json["name"], model_json["temperature"]
    path = scores_folder / "test" / f"{name}.csv"
    scores.write(decision.calibrated(logits, temperature), path)
    validation = scores.read_scores(scores_folder / "val" / f"{name}.csv")
    stress_logits = stress.read_stress(scores_folder / "stress" / f"{name}.csv")
    values = measure(
        scores.read_scores(path),
        model_json["threshold"],
        thresholds=decision.redrawn_thresholds(validation, stress_logits, temperature, policy, bootstrap),
        validation=validation,
        stress_logits=stress_logits,
        temperature=temperature,
        prevalence=prevalence,
    )
    values |= {key: model_json[key] for key in FROM_MODEL}
    if "members" in model_json:
        values["members"] = list(model_json["members"])
    files.write_json(metrics_path, values)
    return values


def measure(
    table: pd.DataFrame,
    threshold: float,
    *,
    thresholds: NDArray[np.float64] | None,
    validation: pd.DataFrame,
    stress_logits: pd.DataFrame | None,
    temperature: float,
    prevalence: float,
) -> dict[str, Any]:
    """All numbers of the test set, to six digits; null where a number is undefined.

    `table`, `validation`: scores.COLUMNS of test and validation. `thresholds`: as for `figures`. `stress_logits`:
    stress.COLUMNS of validation, or None for a model without images. `prevalence`: of pneumonia, assumed for `ppv` and
    `npv`.

    In the result, beside what `figures` has, `at_half`: decisions at 0.5. `uncalibrated`: calibration before
    temperature scaling. `score_shift`: validation against test. `stress`: of validation images. `oracle`: see its note.
    """
    at_half = Drawn.of(table, 0.5)
    uncalibrated = table.assign(score=calibration.calibrate(table["logit"], 1.0))
    return {
        **figures(table, threshold, thresholds=thresholds, temperature=temperature, prevalence=prevalence),
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


def figures(
    table: pd.DataFrame,
    threshold: float,
    *,
    temperature: float,
    prevalence: float,
    thresholds: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """All metrics of one set of images, to six digits, with what they rest on; null where one is undefined.

    `table`: scores.COLUMNS. `prevalence`: of pneumonia, assumed for `ppv` and `npv`. `ci95`: 95 % intervals over
    patients (`intervals`), also over those of validation where `thresholds` has the thresholds that draws of them give
    (`decision.redrawn_thresholds`); None takes `threshold` for given.
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
        "ci95": metrics.intervals(
            table, threshold, temperature=temperature, prevalence=prevalence, thresholds=thresholds
        ),
    }
