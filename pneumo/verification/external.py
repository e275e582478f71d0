"""Every figure at other hospitals, of the chosen model and of the shortcut baseline, recomputed from their scores."""

import io
from collections.abc import Mapping
from typing import Any

import pandas as pd

from pneumo.errors import VerifyError
from pneumo.evaluation import decision
from pneumo.evaluation.evaluate import figures
from pneumo.external import readable
from pneumo.external.measure import measure
from pneumo.external.subgroups import subgroups
from pneumo.record.parse import read_json, read_scores
from pneumo.record.record import BASELINE
from pneumo.scoring import scores
from pneumo.verification import recompute
from pneumo.verification.compare import ABSENT, history, same, same_table
from pneumo.verification.run import Run

NOT_FROM_SCORES = ("image_shift", "manifest_sha256")
READABLE = "readable_without_lungs"
KEYS = list(scores.KEY_COLUMNS)


def verify_external(run: Run, name: str) -> tuple[dict[str, object], int, list[str]]:
    """The recomputed metrics of the data set `name`, the number of its scores, and which keys are not from scores.

    Raises VerifyError or RecordError like `verify`.
    """
    tree, candidate = run.record.tree, run.record.best.get("model", ABSENT)
    best = run.record.best.get("replicate", candidate)
    paths = run.record.external_paths(name)
    committed, text = read_json(tree, paths.metrics), tree.text(paths.scores)
    table, details = read_scores(tree, paths.scores), scores.details(io.StringIO(text))
    where, rests_on = tree.where(paths.metrics), [tree.where(paths.scores)]
    same(committed.get("model", ABSENT), best, where, [tree.where("metrics/best.json")], "model")
    columns = [column for column in details.columns if column != "image"]
    _, model = recompute.model_in_best(run, candidate)
    threshold, temperature = model.threshold, model.temperature
    scored = decision.calibrated(table, temperature).merge(details, on="image", validate="one_to_one")
    same_table(text, scored, rests_on[0], rests_on, lambda rows, path: scores.write(rows, path, details=columns))
    of_baseline, scored_by_baseline = _shortcut(run, name, committed, table)
    of_exposure, scored_by_exposure = _exposure(run, name, committed, table)
    expected: dict[str, object] = {
        "model": best,
        **measure(
            table,
            model.test,
            threshold=threshold,
            temperature=temperature,
            prevalence=run.basis.evaluate.prevalence,
        ),
        **of_baseline,
        **of_exposure,
        "subgroups": subgroups(table.merge(details, on="image"), columns, threshold=threshold),
    }
    taken = {key: committed[key] for key in NOT_FROM_SCORES if key in committed}
    rests_on += [tree.where(paths.shortcut)] if of_baseline else []
    rests_on += [tree.where(paths.exposure)] if of_exposure else []
    same(committed, expected | taken, where, [*rests_on, run.record.model(candidate).where("test")])
    return expected, len(table) + scored_by_baseline + scored_by_exposure, list(taken)


def _shortcut(
    run: Run, name: str, committed: Mapping[str, Any], table: pd.DataFrame
) -> tuple[dict[str, dict[str, Any]], int]:
    """The recomputed metrics of the baseline there, as `shortcut`, and the number of its scores.

    `table`: of the model on the same images. Empty for an early record, which has neither such metrics nor scores.
    """
    tree, paths = run.record.tree, run.record.external_paths(name)
    if BASELINE not in committed and not tree.has(paths.shortcut):
        return {}, 0
    text, scored, where = tree.text(paths.shortcut), read_scores(tree, paths.shortcut), tree.where(paths.shortcut)
    _same_images(scored, table, where, tree.where(paths.scores))
    if BASELINE not in run.models:
        metrics = run.record.model(BASELINE).path("metrics")
        raise VerifyError(f"{tree.where(metrics)} is missing, but {where} exists: {tree.remedy(metrics)}")
    threshold, temperature = (run.models[BASELINE].metrics[key] for key in ("threshold", "temperature"))
    same_table(text, decision.calibrated(scored, temperature), where, [where])
    prevalence = run.basis.evaluate.prevalence
    return {BASELINE: figures(scored, threshold, temperature=temperature, prevalence=prevalence)}, len(scored)


def _exposure(
    run: Run, name: str, committed: Mapping[str, Any], table: pd.DataFrame
) -> tuple[dict[str, dict[str, Any]], int]:
    """How well exposure and borders alone tell the classes there, recomputed, and the number of their scores.

    `table`: of the model on the same images. Empty for an early record, which has neither such a figure nor scores.
    """
    tree, paths = run.record.tree, run.record.external_paths(name)
    if READABLE not in committed and not tree.has(paths.exposure):
        return {}, 0
    text, scored, where = tree.text(paths.exposure), read_scores(tree, paths.exposure), tree.where(paths.exposure)
    _same_images(scored, table, where, tree.where(paths.scores))
    same_table(text, decision.calibrated(scored, 1.0), where, [where])
    return {READABLE: readable.without_lungs(scored)}, len(scored)


def _same_images(scored: pd.DataFrame, table: pd.DataFrame, where: str, other: str) -> None:
    if not scored[KEYS].equals(table[KEYS]):
        raise VerifyError(
            f"{where} and {other} differ in images, patients, labels or subtypes\n  {history(where, other)}"
        )
