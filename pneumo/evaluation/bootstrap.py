"""Bootstrap intervals. Patients are drawn with all their images, as images of one patient are not independent.

A resample is a row of weights: how often each image was drawn. Metrics are computed for all rows at once. The draws
depend on the seed and the patients alone, so all models are compared on the same resamples, and adding or removing a
model changes no number of the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pneumo.evaluation import calibration, metrics
from pneumo.evaluation.drawn import Drawn, ratio

Array = NDArray[np.float64]
UNDEFINED = 0.025  # share of resamples in which a metric may be undefined; beyond it there is no 95 % interval
CHUNK = 4_000_000  # weights in memory at once


def patient_weights(patients: ArrayLike, *, resamples: int, seed: int) -> Iterator[Array]:
    """How often each of n images is drawn: chunks [b, n], `resamples` rows in all. `patients`: of each image, [n]."""
    names, patient_of = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    rng = np.random.default_rng(seed)
    rows = max(1, CHUNK // max(1, len(patient_of)))
    for start in range(0, resamples, rows):
        by_patient = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=min(rows, resamples - start))
        yield by_patient[:, patient_of].astype(float)


def intervals(
    table: pd.DataFrame, threshold: float, *, temperature: float, prevalence: float, resamples: int, seed: int
) -> dict[str, list[float | None]]:
    """95 % percentile interval [low, high] of each metric, to six digits.

    Where all resamples agree, as for a model without a mistake, they say nothing about the spread: the interval of a
    proportion is then Wilson's, on the number of patients, and that of any other metric [null, null]. It is [null,
    null], too, where the metric is undefined in more than UNDEFINED of the resamples.
    """
    table = table.sort_values("image")
    images = Drawn.of(table, threshold, temperature=temperature, prevalence=prevalence)
    chunks = [
        replace(images, weights=weights)
        for weights in patient_weights(table["patient"], resamples=resamples, seed=seed)
    ]
    bounds = {}
    for metric in metrics.METRICS:
        if metric.interval:
            values = np.concatenate([metric.of(drawn) for drawn in chunks])
            bounds[metric.key] = _wilson_if_constant(metric, values, images, table["patient"]) or percentiles(values)
    return bounds


def _wilson_if_constant(
    metric: metrics.Metric, values: Array, images: Drawn, patients: pd.Series
) -> list[float | None] | None:
    """Wilson's interval of a proportion that is 0 in all resamples, or 1 in all; else None."""
    finite = values[np.isfinite(values)]
    if metric.denominator is None or not len(finite) or np.ptp(finite) or finite[0] not in (0, 1):
        return None
    low, high = calibration.wilson(float(finite[0]), int(patients[metric.denominator(images)].nunique()))
    return [round(low, 6), round(high, 6)]


def percentiles(values: Array) -> list[float | None]:
    """The middle 95 % of `values`; [None, None] where too many are NaN or all are equal."""
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
    """Metrics of each model in the same resamples of patients: name -> key -> [resamples]; NaN where undefined.

    keys: of metrics.METRICS; decisions and rankings, which need no logits. All tables must hold the same images:
    scores.same_images checks that.
    """
    ordered = {name: table.sort_values("image") for name, table in tables.items()}
    first = next(iter(ordered.values()))
    chunks: dict[str, dict[str, list[Array]]] = {name: {key: [] for key in keys} for name in tables}
    for weights in patient_weights(first["patient"], resamples=resamples, seed=seed):
        for name, table in ordered.items():
            drawn = Drawn.of(table.assign(logit=np.nan), thresholds[name], weights=weights)
            for key in keys:
                chunks[name][key].append(metrics.BY_KEY[key].of(drawn))
    return {name: {key: np.concatenate(values) for key, values in of.items()} for name, of in chunks.items()}


def roc_band(table: pd.DataFrame, grid: ArrayLike, *, resamples: int, seed: int) -> tuple[Array, Array]:
    """Pointwise 95 % band of the ROC curve: recall at each false positive rate of `grid`, [g] and [g]."""
    return _band(table, np.asarray(grid, dtype=float), "roc", resamples, seed)


def precision_recall_band(table: pd.DataFrame, grid: ArrayLike, *, resamples: int, seed: int) -> tuple[Array, Array]:
    """Pointwise 95 % band of precision at each recall of `grid`, [g] and [g]."""
    return _band(table, np.asarray(grid, dtype=float), "precision_recall", resamples, seed)


def _band(table: pd.DataFrame, grid: Array, curve: str, resamples: int, seed: int) -> tuple[Array, Array]:
    table = table.sort_values("image")
    chunks = []
    for weights in patient_weights(table["patient"], resamples=resamples, seed=seed):
        pos, neg = Drawn.of(table, 0.5, weights=weights).by_score
        tp, fp = pos.cumsum(axis=1), neg.cumsum(axis=1)
        recall, fpr = ratio(tp, tp[:, -1:]), ratio(fp, fp[:, -1:])
        rows = np.arange(len(weights))
        values = np.empty((len(weights), len(grid)))
        for column, at in enumerate(grid):
            if curve == "roc":
                last = (fpr <= at + 1e-12).sum(axis=1) - 1
                values[:, column] = np.where(last >= 0, recall[rows, np.maximum(last, 0)], 0.0)
            else:
                first = np.minimum((recall < at - 1e-12).sum(axis=1), recall.shape[1] - 1)
                values[:, column] = ratio(tp[rows, first], tp[rows, first] + fp[rows, first])
        chunks.append(values)
    low, high = np.nanpercentile(np.concatenate(chunks), [2.5, 97.5], axis=0)
    return low, high
