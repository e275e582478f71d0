"""Outputs of a model on validation -> temperature, calibrated scores and the threshold of its decisions."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pneumo import calibration, stress, thresholds
from pneumo.scores import six_digits


def decide(
    raw: pd.DataFrame, stressed: pd.DataFrame | None, policy: Mapping[str, Any]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Calibrated validation scores, and temperature, threshold and threshold_policy for model.json.

    `raw`: pneumo.scores.RAW_COLUMNS of the validation part. `stressed`: pneumo.stress.COLUMNS of it, where the policy
    asks for them. `policy`: the section threshold of params.yaml. Temperature always comes from the plain scores.
    """
    temperature = float(f"{calibration.temperature(raw['label'], raw['logit']):.6g}")
    scored = calibrated(raw, temperature)
    threshold = find_threshold(scored, stressed, temperature, policy)
    return scored, {"temperature": temperature, "threshold": threshold, "threshold_policy": dict(policy)}


def find_threshold(
    scored: pd.DataFrame, stressed: pd.DataFrame | None, temperature: float, policy: Mapping[str, Any]
) -> float:
    """The threshold that `policy` finds on the plain scores (pneumo.scores.COLUMNS) or on the stressed ones."""
    table = judged(scored, stressed, temperature, policy["scores"])
    return thresholds.find(table["label"], table["score"], policy["policy"], policy["value"])


def judged(scored: pd.DataFrame, stressed: pd.DataFrame | None, temperature: float, kind: str) -> pd.DataFrame:
    """The scores (pneumo.scores.COLUMNS) that a decision rests on: `plain` ones, or all `stressed` ones together."""
    if kind == "plain":
        return scored
    if stressed is None:
        raise ValueError("stressed scores are asked for, and there are none")
    return calibrated(stress.pooled(stressed), temperature)


def calibrated(raw: pd.DataFrame, temperature: float) -> pd.DataFrame:
    """`raw` with a score, computed from the logit and rounded as it is written."""
    return raw.assign(score=six_digits(calibration.calibrate(raw["logit"], temperature)))
