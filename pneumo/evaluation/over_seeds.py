"""The metrics of a candidate's replicates, one for each seed -> those of the candidate."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pneumo.evaluation import recipes
from pneumo.evaluation.metrics import METRICS, rounded

OF_EACH = (*(metric.key for metric in METRICS), "tp", "fp", "tn", "fn", "threshold", "temperature", "ci95", "members")


def over_seeds(
    measured: Mapping[str, Mapping[str, Any]], tables: Mapping[str, pd.DataFrame], seeds: Sequence[int]
) -> dict[str, Any]:
    """Of one replicate its own metrics, of several their mean, with `sd`, `seeds` and `replicates`.

    `measured`: replicate -> its metrics, in the order of `seeds`. `tables`: their scores on the test set,
    scores.COLUMNS. `sd`: of each metric between the seeds. `ci95`: of the mean, over patients and seeds.
    """
    first, *others = measured.values()
    if not others:
        return dict(first)
    return {
        **{key: mean([values[key] for values in measured.values()]) for key in first if key not in ("ci95", "members")},
        "sd": {metric.key: spread([values[metric.key] for values in measured.values()]) for metric in METRICS},
        "ci95": recipes.intervals(
            [tables[name].sort_values("image") for name in measured],
            [values["threshold"] for values in measured.values()],
            temperatures=[values["temperature"] for values in measured.values()],
            prevalence=first["prevalence"],
        ),
        **({"members": first["members"]} if "members" in first else {}),
        "seeds": list(seeds),
        "replicates": {
            name: {"seed": seed, **{key: values[key] for key in OF_EACH if key in values}}
            for seed, (name, values) in zip(seeds, measured.items(), strict=True)
        },
    }


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
