"""Outputs of a model on validation -> temperature, calibrated scores and the threshold of its decisions."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pneumo import calibration, thresholds
from pneumo.scores import six_digits


def decide(raw: pd.DataFrame, policy: Mapping[str, Any]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Calibrated validation scores, and temperature, threshold and threshold_policy for model.json.

    `raw`: pneumo.scores.RAW_COLUMNS of the validation part. `policy`: the section threshold of params.yaml.
    """
    temperature = float(f"{calibration.temperature(raw['label'], raw['logit']):.6g}")
    scored = calibrated(raw, temperature)
    threshold = thresholds.find(scored["label"], scored["score"], **policy)
    return scored, {"temperature": temperature, "threshold": threshold, "threshold_policy": dict(policy)}


def calibrated(raw: pd.DataFrame, temperature: float) -> pd.DataFrame:
    """`raw` with a score, computed from the logit and rounded as it is written."""
    return raw.assign(score=six_digits(calibration.calibrate(raw["logit"], temperature)))
