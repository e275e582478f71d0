"""Intervals by drawing patients with replacement, with all their images: images of one patient are not independent.

Everything is computed for all resamples at once: a resample is a row of weights, how often each image was drawn. The
draws depend on the seed and the patients alone, so that models are compared on the same resamples, and a model more or
less changes no number of another.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pneumo.evaluation import calibration, metrics
from pneumo.evaluation.drawn import Drawn, ratio

Array = NDArray[np.float64]
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


def intervals(
    table: pd.DataFrame, threshold: float, *, temperature: float, prevalence: float, resamples: int, seed: int
) -> dict[str, list[float | None]]:
    """95 % percentile interval [low, high] of each metric, to six digits.

    [null, null] where more than UNDEFINED of the resamples lack the metric, or where all of them agree, as on images
    that a model decides without a mistake: those say nothing about the spread. For a proportion of 0 or 1 it is then
    Wilson's interval on the number of patients instead.
    """
    table = table.sort_values("image")
    once = Drawn.of(table, threshold, temperature=temperature, prevalence=prevalence)
    chunks = [
        replace(once, weights=weights) for weights in patient_weights(table["patient"], resamples=resamples, seed=seed)
    ]
    bounds = {}
    for metric in metrics.METRICS:
        if metric.interval:
            draws = np.concatenate([metric.of(drawn) for drawn in chunks])
            bounds[metric.key] = _of_constant(metric, draws, once, table["patient"]) or percentiles(draws)
    return bounds


def _of_constant(metric: "metrics.Metric", draws: Array, once: Drawn, patients: pd.Series) -> list[float | None] | None:
    """Wilson's interval where all draws of a proportion are 0, or all are 1; else None."""
    finite = draws[np.isfinite(draws)]
    if metric.about is None or not len(finite) or np.ptp(finite) or finite[0] not in (0, 1):
        return None
    low, high = calibration.wilson(float(finite[0]), int(patients[metric.about(once)].nunique()))
    return [round(low, 6), round(high, 6)]


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
    keys: Sequence[str],
    *,
    resamples: int,
    seed: int,
) -> dict[str, dict[str, Array]]:
    """Metrics of each model under the same resamples of patients: name -> key -> [resamples]; NaN where undefined.

    keys: of metrics.METRICS that need no logits. The tables must hold the same images, as scores.same_images
    checks.
    """
    ordered = {name: table.sort_values("image") for name, table in tables.items()}
    first = next(iter(ordered.values()))
    draws: dict[str, dict[str, list[Array]]] = {name: {key: [] for key in keys} for name in tables}
    for weights in patient_weights(first["patient"], resamples=resamples, seed=seed):
        for name, table in ordered.items():
            drawn = Drawn.of(table.assign(logit=np.nan), thresholds[name], weights=weights)
            for key in keys:
                draws[name][key].append(metrics.BY_KEY[key].of(drawn))
    return {name: {key: np.concatenate(chunks) for key, chunks in of.items()} for name, of in draws.items()}


def roc_band(table: pd.DataFrame, grid: ArrayLike, *, resamples: int, seed: int) -> tuple[Array, Array]:
    """Pointwise 95 % band of the ROC curve: recall at each false positive rate of `grid`, [g] and [g]."""
    return _band(table, np.asarray(grid, dtype=float), "roc", resamples, seed)


def precision_recall_band(table: pd.DataFrame, grid: ArrayLike, *, resamples: int, seed: int) -> tuple[Array, Array]:
    """Pointwise 95 % band of precision at each recall of `grid`, [g] and [g]."""
    return _band(table, np.asarray(grid, dtype=float), "precision_recall", resamples, seed)


def _band(table: pd.DataFrame, grid: Array, curve: str, resamples: int, seed: int) -> tuple[Array, Array]:
    table = table.sort_values("image")
    drawn = []
    for weights in patient_weights(table["patient"], resamples=resamples, seed=seed):
        pos, neg = Drawn.of(table, 0.5, weights=weights).by_score
        tp, fp = pos.cumsum(axis=1), neg.cumsum(axis=1)
        recall, fpr = ratio(tp, tp[:, -1:]), ratio(fp, fp[:, -1:])
        rows = np.arange(len(weights))
        values = np.empty((len(weights), len(grid)))
        for place, at in enumerate(grid):
            if curve == "roc":
                last = (fpr <= at + 1e-12).sum(axis=1) - 1
                values[:, place] = np.where(last >= 0, recall[rows, np.maximum(last, 0)], 0.0)
            else:
                reached = np.minimum((recall < at - 1e-12).sum(axis=1), recall.shape[1] - 1)
                values[:, place] = ratio(tp[rows, reached], tp[rows, reached] + fp[rows, reached])
        drawn.append(values)
    low, high = np.nanpercentile(np.concatenate(drawn), [2.5, 97.5], axis=0)
    return low, high
