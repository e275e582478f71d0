"""Resamples of patients, for paired differences, the choice and the bands of curves. Patients are drawn with all their
images, as images of one patient are not independent. Intervals of one model's metrics: `intervals`.

A resample is a row of weights: how often each image was drawn. Metrics are computed for all rows at once. The draws
depend on the seed and the patients alone, so all models are compared on the same resamples, and adding or removing a
model changes no number of the others.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pneumo.evaluation import intervals, metrics
from pneumo.evaluation.drawn import Drawn, ratio

Array = NDArray[np.float64]
UNDEFINED = intervals.UNDEFINED
CHUNK = 4_000_000  # weights in memory at once


def patient_weights(patients: ArrayLike, *, resamples: int, seed: int) -> Iterator[Array]:
    """How often each of n images is drawn: chunks [b, n], `resamples` rows in all. `patients`: of each image, [n]."""
    names, patient_of = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    rng = np.random.default_rng(seed)
    rows = max(1, CHUNK // max(1, len(patient_of)))
    for start in range(0, resamples, rows):
        by_patient = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=min(rows, resamples - start))
        yield by_patient[:, patient_of].astype(float)


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
