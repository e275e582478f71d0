"""Recompute every figure of a record from its scores alone: no training, no torch, no images, no DVC, no network.

Figures must agree to the last digit, but for those that compare names. Not verified: what prose says.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pneumo.errors import VerifyError
from pneumo.evaluation import choice, decision, ensemble
from pneumo.evaluation.evaluate import measure
from pneumo.models.perturbations import NAMES
from pneumo.params import Threshold
from pneumo.scoring import scores, stress
from pneumo.verification import record, tables
from pneumo.verification.compare import ABSENT, difference, history, numbers, same, same_file
from pneumo.verification.record import BASELINE, Model, Record

# Of a network, not of its scores. Of candidates, weights and input_size are those of params.yaml; of an ensemble, all
# follow from its members'.
NOT_FROM_SCORES = ("weights", "parameters", "flops", "input_size", "members")


@dataclass
class Tally:
    """What was recomputed, by kind, and what was taken as it is, by what it is."""

    files: int = 0
    recomputed: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)


def verify(folders: Sequence[Path], pages: Sequence[Path], top: Path, *, others: bool = False) -> Tally:
    """Recompute all figures of the records in `folders`, and compare the marked tables of `pages` with them.

    `top`: the project's top folder. `others`: whether tables may show folders that are not in `folders`; they are then
    skipped. Raises VerifyError with the first figure that differs.
    """
    tally = Tally()
    for folder in folders:
        verify_record(record.read_record(folder), tally)
    known = [tables.named(folder, top) for folder in folders]
    for page in pages:
        n_tables, cells = tables.check(page, top, known, others=others)
        tally.files += 1
        tally.recomputed += Counter({"tables": n_tables, "cells": cells})
        tally.taken[f"{page}: table rows with figures outside of markers"] += len(tables.unmarked(page))
    return tally


def verify_record(read: Record, tally: Tally) -> None:
    """Add to `tally` what `read` gives, or raise VerifyError with the first figure that differs."""
    for part in ("validation", "test"):
        _same_images(read, part)
    for model in read.models.values():
        _same_stress_images(model)
    _parts_are_apart(read)
    for name in read.models:
        _verify_scores(read, name, tally)
    for model in read.models.values():
        right = expected(read, model.name)
        unverified = {key: model.metrics[key] for key in NOT_FROM_SCORES if key in model.metrics and key not in right}
        same(model.metrics, right | unverified, model.metrics_path, [model.test_path, model.validation_path])
        tally.recomputed["figures"] += numbers(right)
        tally.taken += Counter(dict.fromkeys((f"{key} of a network" for key in unverified), 1))
    _verify_best(read, tally)
    _verify_data(read, tally)
    tally.files += 3 * len(read.models) + 2 + sum(one.stress_logits is not None for one in read.models.values())


def expected(read: Record, name: str) -> dict[str, Any]:
    """metrics/NAME.json as the scores and params.yaml give it, without what only the network knows."""
    model = read.models[name]
    values = measure(
        model.test,
        model.metrics["threshold"],
        validation=model.validation,
        stress_logits=model.stress_logits,
        temperature=model.metrics["temperature"],
        prevalence=read.basis.evaluate.prevalence,
        resamples=read.basis.bootstrap.resamples,
        seed=read.basis.bootstrap.seed,
    )
    if name in read.basis.model:
        network = read.basis.model[name]
        values |= {"weights": Path(network.weights).name, "input_size": network.input_size}
    if name in read.basis.ensembles:
        values |= _of_members(_members(read, name))
    return values


def _same_images(read: Record, part: str) -> None:
    """All models are scored on the same rows: image, patient, label and subtype."""
    (first, reference), *others = ((_path(model, part), getattr(model, part)) for model in read.models.values())
    for path, table in others:
        if len(table) != len(reference):
            raise VerifyError(f"{path} has {len(table)} images, and {first} has {len(reference)}")
        for column in scores.KEY_COLUMNS:
            differs = (table[column] != reference[column]).to_numpy()
            if differs.any():
                at = int(differs.argmax())
                raise VerifyError(
                    f"{path}: {column} of {table['image'][at]} is {table[column][at]}, and {first} has "
                    f"{reference[column][at]}\n  {history(path, first)}"
                )


def _same_stress_images(model: Model) -> None:
    keys = list(scores.KEY_COLUMNS)
    if model.stress_logits is not None and not model.stress_logits[keys].equals(model.validation[keys]):
        raise VerifyError(
            f"{model.stress_path} and {model.validation_path} are not of the same images, patients and labels\n  "
            f"{history(model.stress_path, model.validation_path)}"
        )


def _parts_are_apart(read: Record) -> None:
    """No patient and no image is in both parts. All models have the same ones, so the first stands for all."""
    model = next(iter(read.models.values()))
    for column in ("image", "patient"):
        both = set(model.validation[column]) & set(model.test[column])
        if both:
            raise VerifyError(
                f"{model.test_path}: {column} {min(both)} is in {model.validation_path}, too: what was chosen on "
                "validation has seen it"
            )


def _verify_scores(read: Record, name: str, tally: Tally) -> None:
    """Temperature and threshold are those that validation gives, and scores are the logits under that temperature."""
    model = read.models[name]
    _require(model, ("threshold", "temperature"))
    if name in read.basis.ensembles:
        _require(model, ("members",))
        rests_on = [read.models[member].validation_path for member in read.basis.model]
        same(model.metrics["members"], _selected(read, name), model.metrics_path, rests_on, "members")
    policy = _policy(read, model)
    decided = decision.decide(model.validation, model.stress_logits, policy)[1]
    temperature = model.metrics["temperature"]
    unit = 1.5 * 10.0 ** (math.floor(math.log10(decided["temperature"])) - 5)
    same(temperature, decided["temperature"], model.metrics_path, [model.validation_path], "temperature", unit)
    for part in ("validation", "test"):
        raw = getattr(model, part)
        if "members" in model.metrics:
            raw = _mean_logit(read, name, part)
        same_file(_path(model, part), decision.calibrated(raw, temperature), [*_members_paths(read, name, part)])
        tally.recomputed["scores"] += len(raw)
    if model.stress_logits is not None:
        expected = _mean_stress_logits(read, name) if "members" in model.metrics else model.stress_logits
        members = [member.stress_path for member in _members(read, name)] if "members" in model.metrics else []
        same_file(model.stress_path, expected, members, stress.write)
        tally.recomputed["scores"] += len(expected) * len(NAMES)
    # Of the scores under the committed temperature, which may differ from the one found here by a last digit.
    threshold = decision.find_threshold(model.validation, model.stress_logits, temperature, policy)
    rests_on = [model.validation_path if policy.scores == "plain" else model.stress_path]
    same(model.metrics["threshold"], threshold, model.metrics_path, rests_on, "threshold")


def _policy(read: Record, model: Model) -> Threshold:
    """The section threshold. The baseline, which sees no pixels, has its threshold from plain scores in any case."""
    policy = read.basis.threshold
    if model.name == BASELINE:
        return policy.model_copy(update={"scores": "plain"})
    if policy.scores == "stress" and model.stress_logits is None:
        raise VerifyError(f"{model.stress_path} is missing, and threshold.scores is stress")
    return policy


def _selection_scores(read: Record, name: str) -> pd.DataFrame:
    """The scores on which select_best compares this model."""
    model, kind = read.models[name], read.basis.select.scores
    if kind == "stress" and model.stress_logits is None:
        raise VerifyError(f"{model.stress_path} is missing, and select.scores is stress")
    return decision.selection_scores(model.validation, model.stress_logits, model.metrics["temperature"], kind)


def _mean_stress_logits(read: Record, name: str) -> pd.DataFrame:
    members = {member.name: member for member in _members(read, name)}
    tables_of = {}
    for member in members.values():
        if member.stress_logits is None:
            raise VerifyError(f"{member.stress_path} is missing, and {read.models[name].stress_path} is the mean of it")
        tables_of[member.name] = member.stress_logits
    return stress.mean_logit(tables_of, {key: member.metrics["temperature"] for key, member in members.items()})


def _mean_logit(read: Record, name: str, part: str) -> pd.DataFrame:
    members = _members(read, name)
    raw = {member.name: getattr(member, part) for member in members}
    return scores.mean_logit(raw, {member.name: member.metrics["temperature"] for member in members})


def _members_paths(read: Record, name: str, part: str) -> list[Path]:
    return [_path(member, part) for member in _members(read, name)] if "members" in read.models[name].metrics else []


def _members(read: Record, name: str) -> list[Model]:
    path, names = read.models[name].metrics_path, read.models[name].metrics["members"]
    unknown = [member for member in names if member not in read.models]
    if unknown or len(names) < 2:
        raise VerifyError(f"{path}: members are {names}; expected two or more of {', '.join(read.models)}")
    for member in names:
        _require(read.models[member], ("temperature", "parameters", "flops", "weights", "input_size"))
    return [read.models[member] for member in names]


def _selected(read: Record, name: str) -> list[str]:
    """The members that params.yaml selects on validation."""
    names = list(read.basis.model)
    return ensemble.members(
        {one: _selection_scores(read, one) for one in names},
        {one: read.model_json(one) for one in names},
        read.basis.ensembles[name].top,
        read.basis.select.metric,
    )


def _of_members(members: Sequence[Model]) -> dict[str, Any]:
    """What an ensemble has of its members; as ensemble.model_json puts it."""
    common = {key: {one.metrics[key] for one in members} for key in ("weights", "input_size")}
    return {
        **{key: values.pop() if len(values) == 1 else None for key, values in common.items()},
        **{key: sum(one.metrics[key] for one in members) for key in ("parameters", "flops")},
        "members": [one.name for one in members],
    }


def _verify_best(read: Record, tally: Tally) -> None:
    """metrics/best.json names the model that validation chooses, and repeats its metrics."""
    candidates = {name: read.models[name] for name in read.basis.candidates}
    selected = choice.choose(
        {name: _selection_scores(read, name) for name in candidates},
        {name: read.model_json(name) for name in candidates},
        read.basis.select.metric,
        prefer_cheaper=read.basis.select.prefer_cheaper,
        resamples=read.basis.bootstrap.resamples,
        seed=read.basis.bootstrap.seed,
    )["model"]
    path = read.folder / "metrics" / "best.json"
    rests_on = [model.validation_path for model in candidates.values()]
    same(read.best.get("model", ABSENT), selected, path, rests_on, "model")
    expected = {"model": selected, **candidates[selected].metrics}
    same(read.best, expected, path, [candidates[selected].metrics_path])
    tally.recomputed["figures"] += numbers(expected)


def _verify_data(read: Record, tally: Tally) -> None:
    """The counts of the validation and test parts in metrics/data.json; of the rest the scores know nothing."""
    path, model = read.folder / "metrics" / "data.json", next(iter(read.models.values()))
    splits = read.data.get("splits")
    counted = 0
    for split, part in {"val": "validation", "test": "test"}.items():
        right = counts(getattr(model, part))
        committed = splits.get(split) if isinstance(splits, Mapping) else None
        if not isinstance(committed, Mapping):
            raise VerifyError(f"{path}: splits.{split} is missing; {history(path)}")
        known = {key: committed[key] for key in right if key in committed}
        same(known, right, path, [_path(model, part)], f"splits.{split}")
        counted += numbers(right)
    tally.recomputed["figures"] += counted
    rest = numbers(read.data) - counted
    tally.taken["figures of metrics/data.json: the training part, files received and rejected, the audit"] += rest


def counts(table: pd.DataFrame) -> dict[str, int]:
    """Counts of one part as metrics/data.json has them, from its rows of a scores table."""
    subtypes = {"bacterial": "bacterial", "viral": "viral", "unknown_subtype": "unknown"}
    return {
        "images": len(table),
        "patients": int(table["patient"].nunique()),
        "normal": int((table["label"] == 0).sum()),
        "pneumonia": int((table["label"] == 1).sum()),
        **{key: int((table["subtype"] == subtype).sum()) for key, subtype in subtypes.items()},
    }


def _require(model: Model, keys: Iterable[str]) -> None:
    """Of the baseline, a logistic regression, no more is asked than it has."""
    missing = [key for key in keys if key not in model.metrics and not (model.name == BASELINE and key == "flops")]
    if missing:
        raise VerifyError(difference(model.metrics_path, missing[0], ABSENT, "a value", [model.test_path]))


def _path(model: Model, part: str) -> Path:
    return model.validation_path if part == "validation" else model.test_path
