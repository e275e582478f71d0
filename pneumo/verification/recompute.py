"""What the scores and params.yaml of a run give: metrics, members of an ensemble, the selected model."""

from pathlib import PurePath
from typing import Any, Literal

import pandas as pd

from pneumo.errors import VerifyError
from pneumo.evaluation import choice, decision, ensemble
from pneumo.evaluation.evaluate import measure
from pneumo.params import Threshold
from pneumo.record.record import BASELINE, Model
from pneumo.scoring import scores, stress
from pneumo.verification.compare import ABSENT, difference
from pneumo.verification.run import Run

OF_MEMBERS = ("temperature", "parameters", "flops", "weights", "input_size")


def metrics(run: Run, name: str) -> dict[str, Any]:
    """metrics/NAME.json, without what only the network knows."""
    model = run.models[name]
    validation, stress_logits, temperature = model.val_scores, model.stress_logits, model.metrics["temperature"]
    values = measure(
        model.test_scores,
        model.metrics["threshold"],
        thresholds=decision.redrawn_thresholds(
            validation, stress_logits, temperature, policy(run, model), run.basis.bootstrap
        ),
        validation=validation,
        stress_logits=stress_logits,
        temperature=temperature,
        prevalence=run.basis.evaluate.prevalence,
    )
    if name in run.basis.model:
        network = run.basis.model[name]
        values |= {"weights": PurePath(network.weights).name, "input_size": network.input_size}
    if name in run.basis.ensembles:
        of_members = {member.name: member.metrics for member in members(run, name)}
        values |= {**ensemble.of_members(of_members), "members": list(of_members)}
    return values


def policy(run: Run, model: Model) -> Threshold:
    """The section threshold. The baseline, which sees no pixels, always has its threshold from plain scores."""
    threshold = run.basis.threshold
    if model.name == BASELINE:
        return threshold.model_copy(update={"scores": "plain"})
    if threshold.scores == "stress" and model.stress_logits is None:
        raise VerifyError(f"{model.where('stress')} is missing, but threshold.scores is stress")
    return threshold


def selection_scores(run: Run, name: str) -> pd.DataFrame:
    """The scores on which select_best compares this model."""
    model, kind = run.models[name], run.basis.select.scores
    if kind == "stress" and model.stress_logits is None:
        raise VerifyError(f"{model.where('stress')} is missing, but select.scores is stress")
    return decision.selection_scores(model.val_scores, model.stress_logits, model.metrics["temperature"], kind)


def selected_model(run: Run) -> str:
    """The name of the model that select_best selects."""
    names = [*run.basis.model, *run.basis.ensembles]
    return choice.choose(
        {name: selection_scores(run, name) for name in names},
        {name: run.model_json(name) for name in names},
        run.basis.select.metric,
        prefer_cheaper=run.basis.select.prefer_cheaper,
        resamples=run.basis.bootstrap.resamples,
        seed=run.basis.bootstrap.seed,
    )["model"]


def selected_members(run: Run, name: str) -> list[str]:
    """The members that params.yaml selects on validation for an ensemble."""
    return ensemble.members(
        {backbone: selection_scores(run, backbone) for backbone in run.basis.model},
        {backbone: run.model_json(backbone) for backbone in run.basis.model},
        run.basis.ensembles[name].top,
        run.basis.select.metric,
    )


def members(run: Run, name: str) -> list[Model]:
    """The members that an ensemble's metrics name; none of another model."""
    model = run.models[name]
    if "members" not in model.metrics:
        return []
    names = model.metrics["members"]
    unknown = [member for member in names if member not in run.models]
    if unknown or len(names) < 2:
        known = ", ".join(run.models)
        raise VerifyError(f"{model.where('metrics')}: members are {names}; expected two or more of {known}")
    for member in names:
        require(run.models[member], *OF_MEMBERS)
    return [run.models[member] for member in names]


def mean_logit(run: Run, name: str, split: Literal["val", "test"]) -> pd.DataFrame:
    """Logits of an ensemble, scores.RAW_COLUMNS."""
    of = members(run, name)
    temperatures = {member.name: member.metrics["temperature"] for member in of}
    return scores.mean_logit({member.name: member.scores(split) for member in of}, temperatures)


def mean_stress_logit(run: Run, name: str) -> pd.DataFrame:
    """Logits of an ensemble under stress, stress.COLUMNS."""
    logits = {}
    for member in members(run, name):
        if member.stress_logits is None:
            mean = run.models[name].where("stress")
            raise VerifyError(f"{member.where('stress')} is missing, but {mean} is the mean over it")
        logits[member.name] = member.stress_logits
    return stress.mean_logit(logits, {member: run.models[member].metrics["temperature"] for member in logits})


def require(model: Model, *keys: str) -> None:
    """Raise VerifyError unless the model's metrics have these keys. The baseline has no flops."""
    missing = [key for key in keys if key not in model.metrics and not (model.name == BASELINE and key == "flops")]
    if missing:
        path = model.where("metrics")
        raise VerifyError(difference(path, missing[0], ABSENT, "a value", [model.where("test")]))
