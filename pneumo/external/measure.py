"""Scores of the chosen model on another data set, with threshold and temperature as they are -> its metrics there."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pneumo.evaluation import metrics
from pneumo.evaluation.evaluate import figures
from pneumo.evaluation.metrics import METRICS, rounded
from pneumo.evaluation.thresholds import counts as counts_by_threshold

SPECIFICITY = 0.9  # at which recall is compared, whatever the threshold
COMPARED = [metric.key for metric in METRICS if metric.headline]
NOTE = "found on these very images: known only afterwards, not achievable in advance"
Bounds = tuple[float, float] | None


def measure(
    table: pd.DataFrame, internal: pd.DataFrame, *, threshold: float, temperature: float, prevalence: float
) -> dict[str, Any]:
    """All numbers of `table`, to six digits; null where a number is undefined.

    `table`, `internal`: scores.COLUMNS, elsewhere and on the internal test set. `threshold`, `temperature`: of the
    model. `prevalence`: of pneumonia, assumed for `ppv` and `npv`.

    In the result, `drop` compares with the internal test set. `at_specificity`: recall where SPECIFICITY is reached.
    `needed`: the threshold that would have had the internal recall here, and `oracle` the best thresholds, both known
    only afterwards. `score_shift`: of the scores, internal test against here.
    """
    here, there = (
        figures(rows, threshold, temperature=temperature, prevalence=prevalence) for rows in (table, internal)
    )
    return {
        **here,
        "drop": drop(there, here),
        "at_specificity": {
            "specificity": SPECIFICITY,
            "internal": recall_at(internal, SPECIFICITY),
            "external": recall_at(table, SPECIFICITY),
        },
        "needed": needed(table, there["recall"]),
        "oracle": metrics.oracle(table["label"], table["score"]),
        "score_shift": metrics.score_shift(internal, table, threshold),
    }


def drop(internal: Mapping[str, Any], external: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Metric -> its value inside and elsewhere, the difference (elsewhere minus inside), and its 95 % interval.

    The two sets have no patient in common, so that the interval follows from the two intervals (MOVER: Donner & Zou,
    Statistics in Medicine 31 (2012) 3347; Newcombe's for proportions).
    """
    rows = {}
    for key in COMPARED:
        before, after = internal[key], external[key]
        low, high = _difference(after, external["ci95"][key], before, internal["ci95"][key])
        difference = None if before is None or after is None else rounded(after - before)
        rows[key] = {"internal": before, "external": after, "difference": difference, "ci95": [low, high]}
    return rows


def recall_at(table: pd.DataFrame, specificity: float) -> float | None:
    """The highest recall of any threshold whose specificity is at least `specificity`; None without both classes."""
    y = table["label"].to_numpy(float)
    if not 0 < y.sum() < len(y):
        return None
    _, tp, fp = counts_by_threshold(y, table["score"])
    allowed = fp <= (1 - specificity) * (1 - y).sum() + 1e-9
    return rounded(tp[allowed].max() / y.sum()) if allowed.any() else 0.0


def needed(table: pd.DataFrame, recall: float | None) -> dict[str, Any]:
    """The highest threshold whose recall is at least `recall`, and what it gives."""
    y = table["label"].to_numpy(float)
    result: dict[str, Any] = {
        "note": NOTE,
        "for_recall": recall,
        "threshold": None,
        "recall": None,
        "specificity": None,
    }
    if recall is None or not 0 < y.sum() < len(y):
        return result
    distinct, tp, fp = counts_by_threshold(y, table["score"])
    first = int(np.argmax(tp / y.sum() >= recall - 1e-9))  # thresholds fall, so recall rises to 1
    return result | {
        "threshold": rounded(distinct[first]),
        "recall": rounded(tp[first] / y.sum()),
        "specificity": rounded(1 - fp[first] / (1 - y).sum()),
    }


def _difference(
    first: float | None, bounds: list[float | None], second: float | None, others: list[float | None]
) -> tuple[float | None, float | None]:
    """Interval of `first` minus `second`, two independent values, from their own intervals."""
    low, high = bounds
    other_low, other_high = others
    if first is None or second is None or low is None or high is None or other_low is None or other_high is None:
        return None, None
    difference = first - second
    return (
        rounded(difference - np.hypot(first - low, other_high - second)),
        rounded(difference + np.hypot(high - first, second - other_low)),
    )
