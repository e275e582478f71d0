"""Results by view, sex, age band, site: each group of images against the rest, corrected for their number."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit, ndtr

from pneumo.evaluation import metrics
from pneumo.evaluation.drawn import Drawn
from pneumo.evaluation.holm import holm

FEWEST = 20  # images of each class in a group, and in the rest; fewer say nothing
MOST = 12  # groups of a column; a column of more is no grouping
AGES = (0, 1, 6, 18, 40, 60, 80)  # years at which bands begin
MEASURED = ("roc_auc", "recall", "specificity")


def subgroups(table: pd.DataFrame, columns: Sequence[str], *, threshold: float) -> list[dict[str, Any]]:
    """A row for each group of enough images: column, value, n, patients, pneumonia, and of MEASURED the value and its
    95 % interval; `difference` in ROC AUC to the rest of that column, its p and p_holm, corrected for all rows.

    `table`: scores.COLUMNS and `columns`, as text; empty texts are no group. Groups with a p are compared as if they
    had no patient in common.
    """
    rows = []
    for column in columns:
        groups = table[column].map(age_band) if column == "age" else table[column].str.strip()
        if groups.nunique() > MOST:
            continue
        for value in sorted(set(groups) - {""}):
            inside, rest = table[groups == value], table[(groups != value) & (groups != "")]
            if _enough(inside):
                rows.append({"column": column, "value": value, **_measured(inside, rest, threshold)})
    for row, corrected in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = metrics.rounded(corrected)
    return rows


def age_band(age: str) -> str:
    """`36` -> `18-39`; empty where it is no age in years."""
    try:
        years = float(age)
    except ValueError:
        return ""
    begins = [first for first in AGES if first <= years]
    if not begins or years > 120:
        return ""
    following = AGES[AGES.index(begins[-1]) + 1 :]
    if not following:
        return f"{begins[-1]}+"
    last = following[0] - 1
    return f"{begins[-1]}" if last == begins[-1] else f"{begins[-1]}-{last}"


def _enough(table: pd.DataFrame) -> bool:
    pneumonia = int(table["label"].sum())
    return min(pneumonia, len(table) - pneumonia) >= FEWEST


def _measured(inside: pd.DataFrame, rest: pd.DataFrame, threshold: float) -> dict[str, Any]:
    of_group = _values(inside, threshold)
    of_rest = _values(rest, threshold) if _enough(rest) else None
    return {
        "n": len(inside),
        "patients": int(inside["patient"].nunique()),
        "pneumonia": int(inside["label"].sum()),
        **of_group,
        "difference": metrics.rounded(of_group["roc_auc"] - of_rest["roc_auc"]) if of_rest else None,
        "p": metrics.rounded(_p(of_group, of_rest)) if of_rest else None,
    }


def _values(table: pd.DataFrame, threshold: float) -> dict[str, Any]:
    values = metrics.values(Drawn.of(table, threshold), "decision", "ranking")
    bounds = metrics.intervals(table, threshold, temperature=1.0, prevalence=0.5)
    return {key: values[key] for key in MEASURED} | {"ci95": {key: bounds[key] for key in MEASURED}}


def _p(first: Mapping[str, Any], second: Mapping[str, Any]) -> float | None:
    """Two-sided p of equal ROC AUC in two independent groups, from their intervals on the logit scale."""
    positions, variances = [], []
    for values in (first, second):
        low, high = values["ci95"]["roc_auc"]
        if low is None or not (low > 0 and high < 1 and 0 < values["roc_auc"] < 1):
            return None
        positions.append(logit(values["roc_auc"]))
        variances.append(((logit(high) - logit(low)) / (2 * 1.959964)) ** 2)
    return float(2 * ndtr(-abs(positions[0] - positions[1]) / np.sqrt(sum(variances))))
