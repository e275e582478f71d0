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

    `backbones`: name -> folder of the calibrated network. `outputs`: has their logits. `top`: how many of them, ranked
    by `selection`; or `all`. Returns model.json.
    """
    model_jsons = {backbone: bundle.model_json(home) for backbone, home in backbones.items()}
    val_logits = {backbone: scores.read_logits(outputs / "val" / f"{backbone}.csv") for backbone in backbones}
    stress_logits = {backbone: stress.read_stress(outputs / "stress" / f"{backbone}.csv") for backbone in backbones}
    temperatures = {backbone: model_json["temperature"] for backbone, model_json in model_jsons.items()}
    ranked_by = {
        backbone: decision.selection_scores(
            decision.calibrated(val_logits[backbone], temperature),
            stress_logits[backbone],
            temperature,
            selection.scores,
        )
        for backbone, temperature in temperatures.items()
    }
    chosen = members(ranked_by, model_jsons, top, selection.metric)
    mean = scores.mean_logit({member: val_logits[member] for member in chosen}, temperatures)
    mean_under_stress = stress.mean_logit({member: stress_logits[member] for member in chosen}, temperatures)
    val_scores, decided = decision.decide(mean, mean_under_stress, policy)
    scores.write(val_scores, scores_folder / "val" / f"{name}.csv")
    stress.write(mean_under_stress, scores_folder / "stress" / f"{name}.csv")
    result = model_json_of(name, {member: model_jsons[member] for member in chosen}, decided)
    files.write_json(folder / "model.json", result)
    return result


def test_logits(folder: Path, outputs: Path, trained: Path) -> pd.DataFrame:
    """The outputs of the ensemble in `folder` on the test set, scores.RAW_COLUMNS.

    `outputs`: has those of its members, NAME.csv. `trained`: has the members themselves, NAME/model.json.
    """
    names = bundle.model_json(folder)["members"]
    temperatures = {name: bundle.model_json(trained / name)["temperature"] for name in names}
    return scores.mean_logit({name: scores.read_logits(outputs / f"{name}.csv") for name in names}, temperatures)


def members(
    validation: Mapping[str, pd.DataFrame], model_jsons: Mapping[str, Mapping[str, Any]], top: int | str, metric: str
) -> list[str]:
    """The backbones that form the ensemble: `all`, or the `top` best by `metric` on validation; in order of name.

    `validation`: name -> scores.COLUMNS. `model_jsons`: name -> model.json.
    Raises ParamsError where fewer than two are left or more are asked for than there are.
    """
    if len(validation) < 2:
        raise ParamsError(f"an ensemble needs two backbones, and params.yaml has {', '.join(validation)} alone")
    if top == "all":
        return sorted(validation)
    if int(top) > len(validation):
        raise ParamsError(f"ensembles: top is {top}, and params.yaml has {len(validation)} backbones")
    ranked = choice.ranked(validation, model_jsons, metric)
    return sorted(candidate["model"] for candidate in ranked[: int(top)])


def model_json_of(name: str, members: Mapping[str, Mapping[str, Any]], decided: Mapping[str, Any]) -> dict[str, Any]:
    """model.json of an ensemble. `members`: member -> its model.json. `decided`: of decision.decide."""
    first = next(iter(members.values()))
    return {
        "name": name,
        "kind": "ensemble",
        "members": {member: member_json["sha256"]["weights"] for member, member_json in members.items()},
        "labels": first["labels"],
        "weights": _common([member_json["weights"] for member_json in members.values()]),
        "input_size": _common([member_json["input_size"] for member_json in members.values()]),
        "parameters": sum(member_json["parameters"] for member_json in members.values()),
        "flops": sum(member_json["flops"] for member_json in members.values()),
        **decided,
        "sha256": {"manifest": first["sha256"]["manifest"]},
        "versions": first["versions"],
    }


def _common(values: list[Any]) -> Any:
    """The value that all have, else null."""
    return values[0] if len(set(values)) == 1 else None
