"""Several trained backbones as one model: the mean of their calibrated logits."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pneumo import choice, scores
from pneumo.errors import ParamsError


def mean_logit(raw: Mapping[str, pd.DataFrame], temperatures: Mapping[str, float]) -> pd.DataFrame:
    """pneumo.scores.RAW_COLUMNS of the ensemble: the mean over `raw` of each logit divided by its temperature."""
    scores.same_images(dict(raw), "the members of the ensemble")
    calibrated = [table["logit"].to_numpy() / temperatures[name] for name, table in raw.items()]
    first = next(iter(raw.values()))
    return scores.table(first, np.mean(calibrated, axis=0))


def members(
    validation: Mapping[str, pd.DataFrame], contracts: Mapping[str, Mapping[str, Any]], top: int | str, metric: str
) -> list[str]:
    """The backbones that form the ensemble: `all`, or the `top` best by `metric` on validation; in order of name.

    `validation`: name -> pneumo.scores.COLUMNS. `contracts`: name -> model.json.
    Raises ParamsError where fewer than two are left or more are asked for than there are.
    """
    if len(validation) < 2:
        raise ParamsError(f"an ensemble needs two backbones, and params.yaml has {', '.join(validation)} alone")
    if top == "all":
        return sorted(validation)
    if int(top) > len(validation):
        raise ParamsError(f"ensembles: top is {top}, and params.yaml has {len(validation)} backbones")
    ranked = choice.ranked(validation, contracts, metric)
    return sorted(one["model"] for one in ranked[: int(top)])


def contract(name: str, chosen: Mapping[str, Mapping[str, Any]], decided: Mapping[str, Any]) -> dict[str, Any]:
    """model.json of an ensemble. `chosen`: member -> its model.json. `decided`: of pneumo.decision.decide."""
    first = next(iter(chosen.values()))
    return {
        "name": name,
        "kind": "ensemble",
        "members": {member: one["sha256"]["weights"] for member, one in chosen.items()},
        "labels": first["labels"],
        "weights": _common([one["weights"] for one in chosen.values()]),
        "input_size": _common([one["input_size"] for one in chosen.values()]),
        "parameters": sum(one["parameters"] for one in chosen.values()),
        "flops": sum(one["flops"] for one in chosen.values()),
        **decided,
        "sha256": {"manifest": first["sha256"]["manifest"]},
        "versions": first["versions"],
    }


def _common(values: list[Any]) -> Any:
    """The value that all have, else null."""
    return values[0] if len(set(values)) == 1 else None
