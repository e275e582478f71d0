"""Several trained backbones as one model: the mean of their calibrated logits."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from pneumo import files
from pneumo.errors import ParamsError
from pneumo.evaluation import choice, decision
from pneumo.models import bundle
from pneumo.scoring import scores, stress

if TYPE_CHECKING:
    from pneumo.params import Replicate, Selection, Threshold


@dataclass(frozen=True)
class Backbone:
    """A replicate of a backbone: its folder, and where its logits are, as scores.paths has it."""

    folder: Path
    outputs: Mapping[str, Path]


def backbones(replicates: "Mapping[str, Replicate]", trained: Path, outputs: Path) -> dict[str, Backbone]:
    """Those of the section `replicates`, with their folders below `trained` and their logits below `outputs`."""
    return {
        name: Backbone(trained / replicate.folder, scores.paths(outputs, replicate.candidate, name))
        for name, replicate in replicates.items()
    }


def build(
    name: str,
    backbones: Mapping[str, Backbone],
    folder: Path,
    scores_folder: Path,
    *,
    top: int | str,
    selection: "Selection",
    policy: "Threshold",
) -> dict[str, Any]:
    """Write the ensemble's model.json into `folder`, and val/NAME.csv and stress/NAME.csv below `scores_folder`.

    `backbones`: the replicates of one seed by their names. `top`: all, or how many of them, the best by `selection`.
    Returns the content of model.json.
    """
    model_jsons = {backbone: bundle.model_json(trained.folder) for backbone, trained in backbones.items()}
    val_logits = {backbone: scores.read_logits(trained.outputs["val"]) for backbone, trained in backbones.items()}
    stress_logits = {backbone: stress.read_stress(trained.outputs["stress"]) for backbone, trained in backbones.items()}
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
    made = combined(
        name,
        {member: model_jsons[member] for member in names},
        {member: (val_logits[member], stress_logits[member]) for member in names},
        policy,
    )
    scores.write(made.val_scores, scores_folder / "val" / f"{name}.csv")
    stress.write(made.stress_logits, scores_folder / "stress" / f"{name}.csv")
    files.write_json(folder / "model.json", made.model_json)
    return made.model_json


class Combined(NamedTuple):
    """An ensemble as validation makes it: model.json, calibrated scores, and logits under stress."""

    model_json: dict[str, Any]
    val_scores: pd.DataFrame
    stress_logits: pd.DataFrame


def combined(
    name: str,
    members: Mapping[str, Mapping[str, Any]],
    logits: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]],
    policy: "Threshold",
) -> Combined:
    """The ensemble of `members`, name -> model.json. `logits`: theirs on validation, plain and under stress."""
    temperatures = {member: model_json["temperature"] for member, model_json in members.items()}
    val_logits, stress_logits = mean_logits(logits, temperatures)
    val_scores, decided = decision.decide(val_logits, stress_logits, policy)
    return Combined(model_json_of(name, members, decided), val_scores, stress_logits)


def mean_logits(
    logits: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], temperatures: Mapping[str, float]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Logits of an ensemble on validation, plain and under stress. `logits`: those of its members."""
    plain = scores.mean_logit({member: val for member, (val, _) in logits.items()}, temperatures)
    return plain, stress.mean_logit({member: under for member, (_, under) in logits.items()}, temperatures)


def logits(model_json: Mapping[str, Any], backbones: Mapping[str, Backbone], split: str) -> pd.DataFrame:
    """Logits of an ensemble on val or test, scores.RAW_COLUMNS, or under stress, stress.COLUMNS.

    `backbones`: replicates by their names; its members among them.
    """
    of_members = {name: backbones[name] for name in model_json["members"]}
    temperatures = {name: bundle.model_json(member.folder)["temperature"] for name, member in of_members.items()}
    if split == "stress":
        read = {name: stress.read_stress(member.outputs[split]) for name, member in of_members.items()}
        return stress.mean_logit(read, temperatures)
    return scores.mean_logit(
        {name: scores.read_logits(member.outputs[split]) for name, member in of_members.items()}, temperatures
    )


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
    ranked = choice.ranked({name: [name] for name in validation}, validation, model_jsons, metric)
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
