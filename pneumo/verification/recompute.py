"""What the scores and params.yaml of a run give: metrics, members of an ensemble, the selected model."""

from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

from pneumo.errors import VerifyError
from pneumo.evaluation import choice, decision, ensemble
from pneumo.evaluation.evaluate import Scored, of_candidate
from pneumo.evaluation.over_seeds import in_best
from pneumo.evaluation.select_best import over_seeds_name
from pneumo.models import bundle
from pneumo.params import Threshold
from pneumo.record.record import BASELINE, Model
from pneumo.scoring import scores, stress
from pneumo.verification.compare import ABSENT, difference
from pneumo.verification.run import Run


def metrics(run: Run, name: str) -> dict[str, Any]:
    """metrics/NAME.json of a candidate or of the baseline, without what only the network knows."""
    models = [run.models[each] for each in run.candidates.get(name, [name])]
    values = of_candidate(
        {model.name: _scored(run, model) for model in models}, run.record.seeds(name), run.basis.evaluate.prevalence
    )
    if name in run.basis.model:
        network = run.basis.model[name]
        values |= {"weights": bundle.weights_name(network.weights), "input_size": network.input_size}
    if name in run.basis.ensembles:
        of_members = {each.name: run.record.figures(each.candidate) for each in members(run, models[0].name)}
        values |= ensemble.of_members(of_members)
    return values


def _scored(run: Run, model: Model) -> Scored:
    decided = (model.metrics["temperature"], model.metrics["threshold"])
    of_it = [member.name for member in members(run, model.name)]
    return _with_draws(
        run, model.test_scores, model.val_scores, model.stress_logits, decided, policy(run, model), of_it
    )


def _with_draws(
    run: Run,
    test: pd.DataFrame,
    validation: pd.DataFrame,
    stress_logits: pd.DataFrame | None,
    decided: tuple[float, float],
    by: Threshold,
    of_it: Sequence[str],
) -> Scored:
    """`decided`: temperature and threshold, the latter by the policy `by`. `of_it`: names of its members."""
    drawn = decision.redrawn_thresholds(validation, stress_logits, decided[0], by, run.basis.bootstrap)
    return Scored(
        test, validation, stress_logits, *decided, drawn, of_it, run.suspected_images, by.scores, by.error_rates
    )


def best(run: Run) -> dict[str, Any]:
    """metrics/best.json: the candidate that validation selects, and what its metrics/NAME.json has."""
    chosen = selected_model(run)
    figures = run.record.figures(chosen)
    values = {"model": chosen, **figures}
    if len(run.candidates[chosen]) == 1:
        return values
    name, scored = model_in_best(run, chosen)
    of_ensemble = scored.measure(run.basis.evaluate.prevalence) if name == over_seeds_name(chosen) else None
    return values | in_best(figures, name, of_ensemble)


def model_in_best(run: Run, candidate: str) -> tuple[str, Scored]:
    """Name and scores of what models/best is of the `candidate`: the median replicate, or the ensemble over seeds."""
    models, select = run.candidates[candidate], run.basis.select
    if len(models) > 1 and select.replicate == "ensemble":
        of_each = [[member.name for member in members(run, name)] or [name] for name in models]
        return over_seeds_name(candidate), _over_seeds(run, [name for names in of_each for name in names])
    validation = {name: selection_scores(run, name) for name in models}
    model_jsons = {name: run.model_json(name) for name in models}
    name = choice.median_replicate(models, validation, model_jsons, select.metric)
    return name, _scored(run, run.models[name])


def _over_seeds(run: Run, names: Sequence[str]) -> Scored:
    """The ensemble of these models."""
    models = {name: run.models[name] for name in names}
    temperatures = {name: model.metrics["temperature"] for name, model in models.items()}
    logits = {name: (model.val_scores, _under_stress(model)) for name, model in models.items()}
    plain, stress_logits = ensemble.mean_logits(logits, temperatures)
    validation, decided = decision.decide(plain, stress_logits, run.basis.threshold)
    test_logits = scores.mean_logit({name: model.test_scores for name, model in models.items()}, temperatures)
    test = decision.calibrated(test_logits, decided["temperature"])
    both = (decided["temperature"], decided["threshold"])
    return _with_draws(run, test, validation, stress_logits, both, run.basis.threshold, names)


def _under_stress(model: Model) -> pd.DataFrame:
    if model.stress_logits is None:
        raise VerifyError(f"{model.where('stress')} is missing, but models/best is the ensemble over seeds")
    return model.stress_logits


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
    names = [name for models in run.candidates.values() for name in models]
    return choice.choose(
        run.candidates,
        {name: selection_scores(run, name) for name in names},
        {name: run.model_json(name) for name in names},
        run.basis.select.metric,
        prefer_cheaper=run.basis.select.prefer_cheaper,
        resamples=run.basis.bootstrap.resamples,
        seed=run.basis.bootstrap.seed,
    )["model"]


def selected_members(run: Run, name: str) -> list[str]:
    """The members that params.yaml selects on validation for a replicate of an ensemble."""
    candidate = run.models[name].candidate
    at = run.candidates[candidate].index(name)
    backbones = [run.candidates[backbone][at] for backbone in run.basis.model]
    return ensemble.members(
        {backbone: selection_scores(run, backbone) for backbone in backbones},
        {backbone: run.model_json(backbone) for backbone in backbones},
        run.basis.ensembles[candidate].top,
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
        require(run.models[member], "temperature")
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
