"""A model's logits on validation -> temperature, calibrated scores and decision threshold."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo import files
from pneumo.evaluation import abstention, calibration, thresholds
from pneumo.evaluation.bootstrap import patient_weights
from pneumo.models import bundle
from pneumo.scoring import scores, stress
from pneumo.scoring.scores import six_digits

if TYPE_CHECKING:
    from pneumo.params import Bootstrap, Threshold, Views


def calibrate_backbone(
    folder: Path, val: Path, under_stress: Path, scores_folder: Path, *, views: "Views", policy: "Threshold"
) -> dict[str, Any]:
    """Write model.json, with temperature and threshold, into the trained model's `folder`; returns its content.

    `val`, `under_stress`: files of its logits, predicted with `views`. Writes the scores to val/NAME.csv and
    stress/NAME.csv below `scores_folder`.
    """
    training_json = bundle.training_json(folder)
    name = f"{training_json['name']}.csv"
    stress_logits = stress.read_stress(under_stress)
    val_scores, decided = decide(scores.read_logits(val), stress_logits, policy)
    scores.write(val_scores, scores_folder / "val" / name)
    stress.write(stress_logits, scores_folder / "stress" / name)
    model_json = training_json | {"views": views.model_dump()} | decided
    files.write_json(folder / "model.json", model_json)
    return model_json


def decide(
    val_logits: pd.DataFrame, stress_logits: pd.DataFrame | None, policy: "Threshold"
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Calibrated validation scores, and temperature, threshold, threshold_policy and margins for model.json.

    `val_logits`: scores.RAW_COLUMNS of validation. `stress_logits`: stress.COLUMNS of the same images; None only where
    `policy`, the section threshold of params.yaml, uses plain scores. The temperature always comes from `val_logits`.
    """
    temperature = float(f"{calibration.temperature(val_logits['label'], val_logits['logit']):.6g}")
    val_scores = calibrated(val_logits, temperature)
    threshold = find_threshold(val_scores, stress_logits, temperature, policy)
    fitted = selection_scores(val_scores, stress_logits, temperature, policy.scores)
    return val_scores, {
        "temperature": temperature,
        "threshold": threshold,
        "threshold_policy": policy.model_dump(),
        "margins": abstention.margins(fitted, threshold, policy.error_rates),
    }


def find_threshold(
    val_scores: pd.DataFrame, stress_logits: pd.DataFrame | None, temperature: float, policy: "Threshold"
) -> float:
    """The threshold that `policy` sets on validation scores, plain or under stress."""
    table = selection_scores(val_scores, stress_logits, temperature, policy.scores)
    return thresholds.find(table["label"], table["score"], policy.policy, policy.value)


def threshold_draws(
    val_scores: pd.DataFrame,
    stress_logits: pd.DataFrame | None,
    temperature: float,
    policy: "Threshold",
    *,
    resamples: int,
    seed: int,
) -> NDArray[np.float64]:
    """What `find_threshold` gives for each of `resamples` draws of the validation patients, [resamples]; NaN for a draw
    that lacks one of the classes.

    Patients are drawn with all their images, under stress with all perturbed copies of these. Models with the same
    validation patients get the same draws. The temperature stays as it is: it changes no order, so no decision.
    """
    table = selection_scores(val_scores, stress_logits, temperature, policy.scores)
    labels, scored = table["label"].to_numpy(), table["score"].to_numpy()
    draws = patient_weights(table["patient"], resamples=resamples, seed=seed)
    return np.concatenate(
        [thresholds.find_each(labels, scored, weights, policy.policy, policy.value) for weights in draws]
    )


def redrawn_thresholds(
    val_scores: pd.DataFrame,
    stress_logits: pd.DataFrame | None,
    temperature: float,
    policy: "Threshold",
    bootstrap: "Bootstrap",
) -> NDArray[np.float64] | None:
    """`threshold_draws` as the section bootstrap asks for them; None where it takes the threshold for given."""
    if bootstrap.threshold == "fixed":
        return None
    return threshold_draws(
        val_scores, stress_logits, temperature, policy, resamples=bootstrap.resamples, seed=bootstrap.seed
    )


def selection_scores(
    val_scores: pd.DataFrame, stress_logits: pd.DataFrame | None, temperature: float, kind: str
) -> pd.DataFrame:
    """The scores on which thresholds are set and candidates compared, scores.COLUMNS.

    `kind`: plain, which is `val_scores`; or stress, all images under all perturbations, from `stress_logits`.
    """
    if kind == "plain":
        return val_scores
    if stress_logits is None:
        raise ValueError(f"kind is {kind!r}, and stress_logits is None; pass stress_logits, or kind 'plain'")
    return calibrated(stress.pooled(stress_logits), temperature)


def calibrated(logits: pd.DataFrame, temperature: float) -> pd.DataFrame:
    """`logits` (scores.RAW_COLUMNS) with the column score, rounded as scores.write rounds it."""
    return logits.assign(score=six_digits(calibration.calibrate(logits["logit"], temperature)))
