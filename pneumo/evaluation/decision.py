"""Outputs of a model on validation -> temperature, calibrated scores and the threshold of its decisions."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pneumo import files
from pneumo.evaluation import calibration, thresholds
from pneumo.models import bundle
from pneumo.scoring import scores, stress
from pneumo.scoring.scores import six_digits

if TYPE_CHECKING:
    from pneumo.params import Threshold, Views


def calibrate_backbone(
    folder: Path, outputs: Path, scores_folder: Path, *, views: "Views", policy: "Threshold"
) -> dict[str, Any]:
    """Complete the model in `folder` with temperature and threshold; returns its model.json.

    Reads val/NAME.csv and stress/NAME.csv below `outputs`, which `views` gave, and writes files of the same names below
    `scores_folder`.
    """
    training_json = bundle.training_json(folder)
    name = f"{training_json['name']}.csv"
    stress_logits = stress.read_stress(outputs / "stress" / name)
    val_scores, decided = decide(scores.read_logits(outputs / "val" / name), stress_logits, policy)
    scores.write(val_scores, scores_folder / "val" / name)
    stress.write(stress_logits, scores_folder / "stress" / name)
    model_json = training_json | {"views": views.model_dump()} | decided
    files.write_json(folder / "model.json", model_json)
    return model_json


def decide(
    raw: pd.DataFrame, stress_logits: pd.DataFrame | None, policy: "Threshold"
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Calibrated validation scores, and temperature, threshold and threshold_policy for model.json.

    `raw`: scores.RAW_COLUMNS of the validation part. `stress_logits`: stress.COLUMNS of it, where the policy
    asks for them. `policy`: the section threshold of params.yaml. Temperature always comes from the plain scores.
    """
    temperature = float(f"{calibration.temperature(raw['label'], raw['logit']):.6g}")
    scored = calibrated(raw, temperature)
    threshold = find_threshold(scored, stress_logits, temperature, policy)
    return scored, {"temperature": temperature, "threshold": threshold, "threshold_policy": policy.model_dump()}


def find_threshold(
    scored: pd.DataFrame, stress_logits: pd.DataFrame | None, temperature: float, policy: "Threshold"
) -> float:
    """The threshold that `policy` finds on the plain scores (scores.COLUMNS) or on those under stress."""
    table = selection_scores(scored, stress_logits, temperature, policy.scores)
    return thresholds.find(table["label"], table["score"], policy.policy, policy.value)


def selection_scores(
    scored: pd.DataFrame, stress_logits: pd.DataFrame | None, temperature: float, kind: str
) -> pd.DataFrame:
    """The scores (scores.COLUMNS) that a decision rests on: `plain` ones, or all those under `stress` together."""
    if kind == "plain":
        return scored
    if stress_logits is None:
        raise ValueError("scores under stress are asked for, and there are none")
    return calibrated(stress.pooled(stress_logits), temperature)


def calibrated(raw: pd.DataFrame, temperature: float) -> pd.DataFrame:
    """`raw` with a score, computed from the logit and rounded as it is written."""
    return raw.assign(score=six_digits(calibration.calibrate(raw["logit"], temperature)))
