"""Validation scores -> models/best: the best candidate, and of its replicates the median or all. Test scores never come
here.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pneumo import files
from pneumo.evaluation import choice, decision, ensemble
from pneumo.models import bundle
from pneumo.scoring import scores, stress

if TYPE_CHECKING:
    from pneumo.params import Resampling, Select, Threshold

ONE_SEED = " One seed: how much training noise adds is unknown; train.seeds=3 measures it."


def select_best(
    replicates: choice.Replicates,
    folders: Mapping[str, Path],
    scores_folder: Path,
    best: Path,
    *,
    select: "Select",
    bootstrap: "Resampling",
    threshold: "Threshold",
) -> dict[str, Any]:
    """Write the model of the best candidate into the folder `best`, with choice.json; returns that one's content.

    `replicates`: the candidates. `folders`: of each model, by its name; an ensemble's members are copied with it. Reads
    val/NAME.csv and stress/NAME.csv below `scores_folder`, and nothing of the test set. `threshold`: the policy, for an
    ensemble over seeds.
    """
    names = [name for models in replicates.values() for name in models]
    model_jsons = {name: bundle.model_json(folders[name]) for name in names}
    validation = {
        name: decision.selection_scores(*_read(scores_folder, name), model_jsons[name]["temperature"], select.scores)
        for name in names
    }
    chosen = choice.choose(
        replicates,
        validation,
        model_jsons,
        select.metric,
        prefer_cheaper=select.prefer_cheaper,
        resamples=bootstrap.resamples,
        seed=bootstrap.seed,
        scores_kind=select.scores,
    )
    shutil.rmtree(best, ignore_errors=True)  # DVC may have hard-linked the last winner's files to its cache
    models = replicates[chosen["model"]]
    if len(models) > 1 and select.replicate == "ensemble":
        members = [member for model in models for member in model_jsons[model].get("members", (model,))]
        of_members = {member: bundle.model_json(folders[member]) for member in members}
        tables = {member: _read(scores_folder, member) for member in members}
        name = over_seeds_name(chosen["model"])
        model_json = ensemble.combined(name, of_members, tables, threshold).model_json
        files.write_json(best / "model.json", model_json)
    else:
        name = choice.median_replicate(models, validation, model_jsons, select.metric)
        members = list(model_jsons[name].get("members", ()))
        bundle.copy(folders[name], best)
    for member in members:
        bundle.copy(folders[member], best / "members" / member)
    reason = chosen["reason"] + _of_replicates(name, models)
    chosen = {"model": chosen["model"], "replicate": name, **chosen, "reason": reason}
    files.write_json(best / "choice.json", chosen)
    return chosen


def over_seeds_name(candidate: str) -> str:
    """The name of the ensemble of a candidate's replicates."""
    return f"{candidate}-seeds"


def _read(scores_folder: Path, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    path = Path(f"{name}.csv")
    return scores.read_scores(scores_folder / "val" / path), stress.read_stress(scores_folder / "stress" / path)


def _of_replicates(name: str, models: Sequence[str]) -> str:
    if len(models) == 1:
        return ONE_SEED
    if name in models:
        return f" models/best is {name}, the replicate with the median of the {len(models)} validation scores."
    return f" models/best is the ensemble of its {len(models)} replicates."
