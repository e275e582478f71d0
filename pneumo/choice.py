"""Validation scores -> the winner and the reason. Test scores never come here."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pneumo import metrics


def choose(
    validation: Mapping[str, pd.DataFrame], contracts: Mapping[str, Mapping[str, Any]], metric: str
) -> dict[str, Any]:
    """The winner among the backbones by `metric` on validation, ties to the one with fewer parameters.

    `validation`: name -> scores table. `contracts`: name -> its model.json, for threshold and parameter count.
    """
    candidates = []
    for name, table in validation.items():
        contract = contracts[name]
        values = metrics.evaluate(table["label"], table["score"], contract["threshold"])
        candidates.append({"model": name, **values, "parameters": contract["parameters"]})
    candidates.sort(key=lambda one: (-one[metric], one["parameters"], one["model"]))
    return {
        "model": candidates[0]["model"],
        "metric": metric,
        "reason": _reason(candidates, metric),
        "candidates": candidates,
    }


def _reason(candidates: list[dict[str, Any]], metric: str) -> str:
    first, word = candidates[0], metric.replace("_", " ").replace("roc auc", "ROC AUC")
    images = f"{first['n']} validation images"
    if len(candidates) == 1:
        return f"{first['model']} is the only backbone of this run: {word} {first[metric]:.4f} on {images}."
    second = candidates[1]
    if second[metric] == first[metric]:
        return (
            f"{first['model']} and {second['model']} have the same {word}, {first[metric]:.4f}, on {images}; "
            f"{first['model']} has fewer parameters."
        )
    return (
        f"{first['model']} has the highest {word} on {images}: {first[metric]:.4f}, "
        f"before {second['model']} with {second[metric]:.4f}."
    )
