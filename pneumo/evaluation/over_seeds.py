"""The metrics of a candidate's replicates, one for each seed -> those of the candidate."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo.evaluation import abstention, recipes, suspected
from pneumo.evaluation.metrics import METRICS, rounded

OF_EACH = (
    *(metric.key for metric in METRICS),
    *("tp", "fp", "tn", "fn", "threshold", "temperature", "ci95", abstention.GROUP, suspected.GROUP, "members"),
)


def over_seeds(
    measured: Mapping[str, Mapping[str, Any]],
    tables: Sequence[pd.DataFrame],
    thresholds: Sequence[NDArray[np.float64]] | None,
    seeds: Sequence[int],
) -> dict[str, Any]:
    """Of one replicate its own metrics, of several their mean, with `sd`, `seeds` and `replicates`.

    `measured`: replicate -> its metrics, in the order of `seeds`. `tables`: their scores of the same test images,
    scores.COLUMNS. `thresholds`: of each, from the same draws of validation patients; None for fixed ones. `sd`: of
    each metric between the seeds. `ci95`: of the mean, over patients and seeds.
    """
    first, *others = measured.values()
    if not others:
        return dict(first)
    return {
        **{key: mean([values[key] for values in measured.values()]) for key in first if key not in ("ci95", "members")},
        "sd": {metric.key: spread([values[metric.key] for values in measured.values()]) for metric in METRICS},
        "ci95": recipes.intervals(
            tables,
            [values["threshold"] for values in measured.values()],
            [values["ci95"] for values in measured.values()],
            temperatures=[values["temperature"] for values in measured.values()],
            prevalence=first["prevalence"],
            threshold_draws=None if thresholds is None else _defined(thresholds),
        ),
        **({"members": first["members"]} if "members" in first else {}),
        "seeds": list(seeds),
        "replicates": {
            name: {"seed": seed, **alone(values)} for seed, (name, values) in zip(seeds, measured.items(), strict=True)
        },
    }


def alone(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of the metrics of one replicate."""
    return {key: values[key] for key in OF_EACH if key in values}


def in_best(candidate: Mapping[str, Any], name: str, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What metrics/best.json adds where the selected candidate has several seeds: `replicate`, the name of the model in
    models/best, and its metrics as `selected`.

    `candidate`: its metrics. `values`: of the ensemble over its seeds, which is none of its replicates.
    """
    of_it = candidate["replicates"][name] if values is None else alone(values)
    return {"replicate": name, "selected": {key: value for key, value in of_it.items() if key != "seed"}}


def _defined(thresholds: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Without the draws that lack one of the classes, which are the same for all."""
    defined = np.isfinite(thresholds).all(axis=0)
    return [drawn[defined] for drawn in thresholds]


def mean(values: Sequence[Any]) -> Any:
    """Of numbers, or of each in mappings, to six digits; None where one is missing; of other values the first."""
    first = values[0]
    if isinstance(first, Mapping):
        return {key: mean([value[key] for value in values]) for key in first}
    if None in values:
        return None
    if all(value == first for value in values) or not isinstance(first, int | float):
        return first
    return rounded(float(np.mean(values)))


def spread(values: Sequence[float | None]) -> float | None:
    """Standard deviation between seeds, to six digits; None where a value is missing."""
    return None if None in values else rounded(float(np.std(np.asarray(values, dtype=float), ddof=1)))
