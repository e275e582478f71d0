"""Recompute every figure of a record from its scores alone: no training, no torch, no images, no DVC, no network.

Figures must agree to the last digit, but for those that compare names. Numbers in prose are not verified.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pneumo.errors import VerifyError
from pneumo.evaluation import decision
from pneumo.models.perturbations import NAMES
from pneumo.preprocessing import counts
from pneumo.record.record import BASELINE, SUSPECTED_LABELS, Model
from pneumo.record.tree import Folder, Tree
from pneumo.scoring import stress
from pneumo.verification import recompute, tables
from pneumo.verification.compare import ABSENT, history, numbers, same, same_table
from pneumo.verification.consistency import consistent
from pneumo.verification.external import verify_external
from pneumo.verification.guard import verify_guard
from pneumo.verification.run import Run, read_run
from pneumo.verification.suspected import verify_suspected

# Of a network, not of its scores. Of candidates, weights and input_size are those of params.yaml; of an ensemble, all
# follow from its members'.
NOT_FROM_SCORES = ("weights", "parameters", "flops", "input_size", "members")


@dataclass
class Tally:
    """What was recomputed, by kind, and what could not be, by what it is. `left_over`: files of no model that
    params.yaml names, which count for nothing.
    """

    files: int = 0
    recomputed: Counter[str] = field(default_factory=Counter)
    unverified: Counter[str] = field(default_factory=Counter)
    left_over: list[str] = field(default_factory=list)


def verify(folders: Sequence[Path], pages: Sequence[Path], top: Path, *, others: bool = False) -> Tally:
    """Recompute all figures of the records in `folders`, and compare the marked tables of `pages` with them.

    `top`: the project's top folder. `others`: whether tables may show folders that are not in `folders`; they are then
    skipped. Raises VerifyError with the first figure that differs, RecordError where a file is missing or broken.
    """
    tally = Tally()
    for folder in folders:
        verify_record(Folder(folder), tally)
    verified = [tables.named(folder, top) for folder in folders]
    for page in pages:
        n_tables, cells = tables.check(page, top, verified, others=others)
        tally.files += 1
        tally.recomputed += Counter({"tables": n_tables, "cells": cells})
        tally.unverified[f"{page}: table rows with figures outside of markers"] += len(tables.unmarked(page))
    return tally


def verify_record(tree: Tree, tally: Tally) -> None:
    """Add to `tally` what the record in `tree` gives, or raise like `verify`."""
    run = read_run(tree)
    consistent(run)
    of_suspects = verify_suspected(run)
    for name in run.models:
        _verify_scores(run, name, tally)
    for name in (*run.candidates, *([BASELINE] if BASELINE in run.models else [])):
        model, committed = run.models[run.candidates.get(name, [name])[0]], run.record.figures(name)
        expected = recompute.metrics(run, name)
        taken = {key: committed[key] for key in NOT_FROM_SCORES if key in committed and key not in expected}
        rests_on = [model.where("test"), model.where("val"), *_list(run)]
        same(committed, expected | taken, model.where("metrics"), rests_on)
        tally.recomputed["figures"] += numbers(expected)
        tally.unverified += Counter({f"{key} of a network": 1 for key in taken})
    _verify_best(run, tally)
    for name in run.record.external:
        figures, scored, unknown = verify_external(run, name)
        tally.recomputed += Counter({"figures": numbers(figures), "scores": scored})
        tally.unverified += Counter({f"{key} of an external data set": 1 for key in unknown})
    of_guard, distances = verify_guard(run)
    tally.recomputed["figures"] += of_guard
    tally.unverified += Counter({"distances of the input guard, and its limit": distances + (distances > 0)})
    _verify_data(run, of_suspects, tally)
    under_stress = [model for model in run.models.values() if model.stress_logits is not None]
    external = [path for name in run.record.external for path in run.record.external_paths(name) if tree.has(path)]
    of_metrics = len(run.candidates) + (BASELINE in run.models) + 2
    tally.files += of_metrics + 2 * len(run.models) + len(under_stress) + len(external) + len(_list(run))
    tally.files += 2 * (distances > 0)
    tally.left_over += [tree.where(path) for path in run.record.left_over]


def _verify_scores(run: Run, name: str, tally: Tally) -> None:
    """Temperature and threshold are those that validation gives, and scores are the logits under that temperature."""
    model = run.models[name]
    recompute.require(model, "threshold", "temperature")
    if model.candidate in run.basis.ensembles:
        recompute.require(model, "members")
        rests_on = [run.models[each].where("val") for backbone in run.basis.model for each in run.candidates[backbone]]
        expected = recompute.selected_members(run, name)
        same(model.metrics["members"], expected, model.where("metrics"), rests_on, "members")
    temperature = _verify_temperature(run, model)
    members = recompute.members(run, name)
    for split in ("val", "test"):
        logits = recompute.mean_logit(run, name, split) if members else model.scores(split)
        text, scored = run.record.tree.text(model.path(split)), decision.calibrated(logits, temperature)
        same_table(text, scored, model.where(split), [member.where(split) for member in members])
        tally.recomputed["scores"] += len(logits)
    if model.stress_logits is not None:
        logits = recompute.mean_stress_logit(run, name) if members else model.stress_logits
        text, rests_on = run.record.tree.text(model.path("stress")), [member.where("stress") for member in members]
        same_table(text, logits, model.where("stress"), rests_on, stress.write)
        tally.recomputed["scores"] += len(logits) * len(NAMES)
    _verify_threshold(run, model, temperature)


def _verify_temperature(run: Run, model: Model) -> float:
    """Returns the committed one, which may differ from the recomputed one in the last digit."""
    policy = recompute.policy(run, model)
    expected = decision.decide(model.val_scores, model.stress_logits, policy)[1]["temperature"]
    committed = model.metrics["temperature"]
    unit = 1.5 * 10.0 ** (math.floor(math.log10(expected)) - 5)
    same(committed, expected, model.where("metrics"), [model.where("val")], "temperature", unit)
    return committed


def _verify_threshold(run: Run, model: Model, temperature: float) -> None:
    policy = recompute.policy(run, model)
    expected = decision.find_threshold(model.val_scores, model.stress_logits, temperature, policy)
    rests_on = [model.where("val" if policy.scores == "plain" else "stress")]
    same(model.metrics["threshold"], expected, model.where("metrics"), rests_on, "threshold")


def _verify_best(run: Run, tally: Tally) -> None:
    """metrics/best.json names the model that validation selects, and repeats its metrics."""
    best, path = run.record.best, run.record.tree.where("metrics/best.json")
    expected = recompute.best(run)
    rests_on = [run.models[name].where("val") for names in run.candidates.values() for name in names]
    same(best.get("model", ABSENT), expected["model"], path, rests_on, "model")
    same(best, expected, path, [run.record.model(expected["model"]).where("metrics")])
    tally.recomputed["figures"] += numbers(expected)


def _list(run: Run) -> list[str]:
    """The list of suspected labels as errors name it; nothing for an early record."""
    return [] if run.suspects is None else [run.record.tree.where(SUSPECTED_LABELS)]


def _verify_data(run: Run, of_suspects: int, tally: Tally) -> None:
    """The counts of validation and test in metrics/data.json, where `of_suspects` figures are verified already. Of the
    rest the scores know nothing.
    """
    path, model = run.record.tree.where("metrics/data.json"), next(iter(run.models.values()))
    splits = run.record.data.get("splits")
    recomputed = of_suspects
    for split in ("val", "test"):
        expected = counts.of_split(model.scores(split))
        committed = splits.get(split) if isinstance(splits, Mapping) else None
        if not isinstance(committed, Mapping):
            raise VerifyError(f"{path}: splits.{split} is missing; {history(path)}")
        known = {key: committed[key] for key in expected if key in committed}
        same(known, expected, path, [model.where(split)], f"splits.{split}")
        recomputed += numbers(expected)
    tally.recomputed["figures"] += recomputed
    rest = numbers(run.record.data) - recomputed
    tally.unverified["figures of metrics/data.json: the training set, files received and rejected, the audit"] += rest
    if run.suspects is not None:
        tally.unverified["probabilities of suspected labels: they come from pixels"] += len(run.suspects)
