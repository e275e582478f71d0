"""Intervals by drawing patients with replacement, with all their images: images of one patient are not independent.

Everything is computed for all resamples at once: a resample is a row of weights, how often each image was drawn. The
draws depend on the seed and the patients alone, so that models are compared on the same resamples, and a model more or
less changes no number of another.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from pneumo.evaluation import calibration

Array = NDArray[np.float64]
PROPORTIONS = ("accuracy", "recall", "specificity", "precision", "recall_bacterial", "recall_viral")
UNDEFINED = 0.025  # share of the resamples that may lack a metric; with more of them there is no 95 % interval
CHUNK = 4_000_000  # weights held at once


def patient_weights(patients: ArrayLike, *, resamples: int, seed: int) -> Iterator[Array]:
    """How often each image is drawn, in chunks of rows [b, n] that add up to `resamples` rows."""
    names, place = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    rng = np.random.default_rng(seed)
    rows = max(1, CHUNK // max(1, len(place)))
    for start in range(0, resamples, rows):
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=min(rows, resamples - start))
        yield drawn[:, place].astype(float)


def replicates(table: pd.DataFrame, threshold: float, temperature: float, prevalence: float, weights: Array) -> Mapping:
    """Metrics of metrics/NAME.json under each row of `weights` [b, n] -> name -> [b]; NaN where undefined.

    Not the expected calibration error: it counts the noise that drawing adds as error, so its resamples lie too high.
    """
    y, s = table["label"].to_numpy(float), table["score"].to_numpy(float)
    logits = table["logit"].to_numpy(float) / temperature
    found = decisions(y, s, threshold, table["subtype"].to_numpy(), weights)
    found["ppv"] = _bayes(found["recall"], found["specificity"], prevalence)
    found["npv"] = _bayes(found["specificity"], found["recall"], 1 - prevalence)
    found |= ranking(y, s, weights)
    found["brier"] = weights @ (s - y) ** 2 / weights.sum(axis=1)
    found["calibration_slope"] = calibration.slopes(y, logits, weights)
    found["calibration_intercept"] = calibration.intercepts(y, logits, weights)
    return found


def decisions(y: Array, s: Array, threshold: float, subtypes: NDArray[Any], weights: Array) -> dict[str, Array]:
    """accuracy, recall, specificity, precision, f1 and recall by subtype under each row of weights."""
    called = (s >= threshold).astype(float)
    tp, fp, fn, tn = (weights @ one for one in (y * called, (1 - y) * called, y * (1 - called), (1 - y) * (1 - called)))
    found = {
        "accuracy": _ratio(tp + tn, tp + fp + fn + tn),
        "recall": _ratio(tp, tp + fn),
        "specificity": _ratio(tn, tn + fp),
        "precision": _ratio(tp, tp + fp),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
    }
    for subtype in ("bacterial", "viral"):
        of_it = y * (subtypes == subtype)
        found[f"recall_{subtype}"] = _ratio(weights @ (of_it * called), weights @ of_it)
    return found


def ranking(y: Array, s: Array, weights: Array) -> dict[str, Array]:
    """ROC AUC, ties counted half, and average precision as in scikit-learn, under each row of weights."""
    pos, neg = _by_score(y, s, weights)
    positives, negatives = pos.sum(axis=1), neg.sum(axis=1)
    tp, fp = pos.cumsum(axis=1), neg.cumsum(axis=1)
    below = negatives[:, None] - fp + 0.5 * neg
    return {
        "roc_auc": _ratio((pos * below).sum(axis=1), positives * negatives),
        "average_precision": _ratio((pos * _ratio(tp, tp + fp, empty=0.0)).sum(axis=1), positives),
    }


def intervals(
    table: pd.DataFrame, threshold: float, *, temperature: float, prevalence: float, resamples: int, seed: int
) -> dict[str, list[float | None]]:
    """95 % percentile interval [low, high] of each metric, to six digits.

    [null, null] where more than UNDEFINED of the resamples lack the metric, or where all of them agree, as on images
    that a model decides without a mistake: those say nothing about the spread. For a proportion of 0 or 1 it is then
    Wilson's interval on the number of patients instead.
    """
    table = table.sort_values("image")
    chunks = [
        replicates(table, threshold, temperature, prevalence, weights)
        for weights in patient_weights(table["patient"], resamples=resamples, seed=seed)
    ]
    joined = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    found = {name: percentiles(values) for name, values in joined.items()}
    for name in PROPORTIONS:
        values = joined[name][np.isfinite(joined[name])]
        if len(values) and np.ptp(values) == 0 and values[0] in (0, 1):
            patients = _patients_of(name, table, threshold)
            bounds = binomtest(round(values[0] * patients), patients).proportion_ci(method="wilson")
            found[name] = [round(bounds.low, 6), round(bounds.high, 6)]
    return found


def percentiles(values: Array) -> list[float | None]:
    """The middle 95 % of `values`; [None, None] where too many are NaN or all are the same."""
    finite = values[np.isfinite(values)]
    if len(finite) < (1 - UNDEFINED) * len(values) or np.ptp(finite) == 0:
        return [None, None]
    low, high = np.percentile(finite, [2.5, 97.5])
    return [round(float(low), 6), round(float(high), 6)]


def paired(
    tables: Mapping[str, pd.DataFrame],
    thresholds: Mapping[str, float],
    metrics: Sequence[str],
    *,
    resamples: int,
    seed: int,
) -> dict[str, dict[str, Array]]:
    """`metrics` of each model under the same resamples of patients: name -> metric -> [resamples]; NaN where undefined.

    metrics: of what `ranking` and `decisions` give. The tables must hold the same images, as scores.same_images
    checks.
    """
    drawn: dict[str, dict[str, list[Array]]] = {name: {metric: [] for metric in metrics} for name in tables}
    ordered = {name: table.sort_values("image") for name, table in tables.items()}
    first = next(iter(ordered.values()))
    ranked = bool({"roc_auc", "average_precision"} & set(metrics))
    for weights in patient_weights(first["patient"], resamples=resamples, seed=seed):
        for name, table in ordered.items():
            y, s = table["label"].to_numpy(float), table["score"].to_numpy(float)
            found = decisions(y, s, thresholds[name], table["subtype"].to_numpy(), weights)
            found |= ranking(y, s, weights) if ranked else {}
            for metric in metrics:
                drawn[name][metric].append(found[metric])
    return {name: {metric: np.concatenate(parts) for metric, parts in of.items()} for name, of in drawn.items()}


def roc_band(table: pd.DataFrame, grid: ArrayLike, *, resamples: int, seed: int) -> tuple[Array, Array]:
    """Pointwise 95 % band of the ROC curve: recall at each false positive rate of `grid`, [g] and [g]."""
    return _band(table, np.asarray(grid, dtype=float), "roc", resamples, seed)


def precision_recall_band(table: pd.DataFrame, grid: ArrayLike, *, resamples: int, seed: int) -> tuple[Array, Array]:
    """Pointwise 95 % band of precision at each recall of `grid`, [g] and [g]."""
    return _band(table, np.asarray(grid, dtype=float), "precision_recall", resamples, seed)


def _band(table: pd.DataFrame, grid: Array, curve: str, resamples: int, seed: int) -> tuple[Array, Array]:
    table = table.sort_values("image")
    y, s = table["label"].to_numpy(float), table["score"].to_numpy(float)
    drawn = []
    for weights in patient_weights(table["patient"], resamples=resamples, seed=seed):
        pos, neg = _by_score(y, s, weights)
        tp, fp = pos.cumsum(axis=1), neg.cumsum(axis=1)
        recall, fpr = _ratio(tp, tp[:, -1:]), _ratio(fp, fp[:, -1:])
        rows = np.arange(len(weights))
        values = np.empty((len(weights), len(grid)))
        for place, at in enumerate(grid):
            if curve == "roc":
                last = (fpr <= at + 1e-12).sum(axis=1) - 1
                values[:, place] = np.where(last >= 0, recall[rows, np.maximum(last, 0)], 0.0)
            else:
                reached = np.minimum((recall < at - 1e-12).sum(axis=1), recall.shape[1] - 1)
                values[:, place] = _ratio(tp[rows, reached], tp[rows, reached] + fp[rows, reached])
        drawn.append(values)
    low, high = np.nanpercentile(np.concatenate(drawn), [2.5, 97.5], axis=0)
    return low, high


def _by_score(y: Array, s: Array, weights: Array) -> tuple[Array, Array]:
    """Weight of the pneumonias and of the normals at each distinct score, highest first: [b, g] and [b, g]."""
    order = np.argsort(-s, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(s[order]) != 0])
    ordered, labels = weights[:, order], y[order]
    return np.add.reduceat(ordered * labels, starts, axis=1), np.add.reduceat(ordered * (1 - labels), starts, axis=1)


def _patients_of(name: str, table: pd.DataFrame, threshold: float) -> int:
    """Patients that the proportion `name` is about."""
    called = table["score"] >= threshold
    about = {
        "accuracy": table["label"] >= 0,
        "recall": table["label"] == 1,
        "specificity": table["label"] == 0,
        "precision": called,
        "recall_bacterial": (table["subtype"] == "bacterial") & (table["label"] == 1),
        "recall_viral": (table["subtype"] == "viral") & (table["label"] == 1),
    }
    return int(table.loc[about[name], "patient"].nunique())


def _bayes(recall: Array, specificity: Array, prevalence: float) -> Array:
    true, false = recall * prevalence, (1 - specificity) * (1 - prevalence)
    return _ratio(true, true + false)


def _ratio(part: Array, whole: Array, empty: float = np.nan) -> Array:
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.full(part.shape, empty), where=whole > 0)
