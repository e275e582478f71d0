"""Several trained backbones as one model: the mean of their calibrated logits."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pneumo import files
from pneumo.errors import ParamsError
from pneumo.evaluation import choice, decision
from pneumo.models import bundle
from pneumo.scoring import scores, stress

if TYPE_CHECKING:
    from pneumo.params import Selection, Threshold


def build(
    name: str,
    backbones: Mapping[str, Path],
    folder: Path,
    outputs: Path,
    scores_folder: Path,
    *,
    top: int | str,
    selection: "Selection",
    policy: "Threshold",
) -> dict[str, Any]:
    """Write the ensemble's model.json into `folder`, and val/NAME.csv and stress/NAME.csv below `scores_folder`.

    `backbones`: name -> folder of the calibrated network. `outputs`: has their logits. `top`: all, or how many of them,
    the best by `selection`. Returns the content of model.json.
    """
    model_jsons = {backbone: bundle.model_json(trained) for backbone, trained in backbones.items()}
    val_logits = {backbone: scores.read_logits(outputs / "val" / f"{backbone}.csv") for backbone in backbones}
    stress_logits = {backbone: stress.read_stress(outputs / "stress" / f"{backbone}.csv") for backbone in backbones}
    temperatures = {backbone: model_json["temperature"] for backbone, model_json in model_jsons.items()}
    candidates = {
        backbone: decision.selection_scores(
            decision.calibrated(val_logits[backbone], temperature),
            stress_logits[backbone],
            temperature,
            selection.scores,
        )
        for backbone, temperature in temperatures.items()
    }
    names = members(candidates, model_jsons, top, selection.metric)
    mean_val_logits = scores.mean_logit({member: val_logits[member] for member in names}, temperatures)
    mean_stress_logits = stress.mean_logit({member: stress_logits[member] for member in names}, temperatures)
    val_scores, decided = decision.decide(mean_val_logits, mean_stress_logits, policy)
    scores.write(val_scores, scores_folder / "val" / f"{name}.csv")
    stress.write(mean_stress_logits, scores_folder / "stress" / f"{name}.csv")
    result = model_json_of(name, {member: model_jsons[member] for member in names}, decided)
    files.write_json(folder / "model.json", result)
    return result


def test_logits(folder: Path, outputs: Path, trained: Path) -> pd.DataFrame:
    """Logits of the ensemble in `folder` on the test set, scores.RAW_COLUMNS.

    `outputs`: has its members' logits, NAME.csv. `trained`: has the members themselves, NAME/model.json.
    """
    names = bundle.model_json(folder)["members"]
    temperatures = {name: bundle.model_json(trained / name)["temperature"] for name in names}
    return scores.mean_logit({name: scores.read_logits(outputs / f"{name}.csv") for name in names}, temperatures)


def members(
    validation: Mapping[str, pd.DataFrame], model_jsons: Mapping[str, Mapping[str, Any]], top: int | str, metric: str
) -> list[str]:
    """Names of the backbones in the ensemble, sorted: all, or the `top` best by `metric` on validation.

    `validation`: name -> selection scores, scores.COLUMNS. `model_jsons`: name -> model.json.
    Raises ParamsError where params.yaml has fewer than two backbones, or fewer than `top`.
    """
    if len(validation) < 2:
        raise ParamsError(
            f"params.yaml: an ensemble needs at least two backbones; model has only {', '.join(validation)}: add one, "
            "or remove the ensemble"
        )
    if top == "all":
        return sorted(validation)
    if int(top) > len(validation):
        raise ParamsError(
            f"params.yaml: ensembles: top is {top}; expected 'all' or at most {len(validation)}, one per backbone"
        )
    ranked = choice.ranked(validation, model_jsons, metric)
    return sorted(candidate["model"] for candidate in ranked[: int(top)])


def model_json_of(name: str, members: Mapping[str, Mapping[str, Any]], decided: Mapping[str, Any]) -> dict[str, Any]:
    """model.json of an ensemble. `members`: name -> model.json. `decided`: from decision.decide."""
    first = next(iter(members.values()))
    return {
        "name": name,
        "kind": "ensemble",
        "members": {member: member_json["sha256"]["weights"] for member, member_json in members.items()},
        "labels": first["labels"],
        **of_members(members),
        **decided,
        "sha256": {"manifest": first["sha256"]["manifest"]},
        "versions": first["versions"],
    }


def of_members(members: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What follows from the members. `members`: name -> its model.json or metrics."""
    return {
        **{key: _common([member[key] for member in members.values()]) for key in ("weights", "input_size")},
        **{key: sum(member[key] for member in members.values()) for key in ("parameters", "flops")},
    }


def _common(values: list[Any]) -> Any:
    """The value that all share; None where they differ."""
    return values[0] if len(set(values)) == 1 else None
