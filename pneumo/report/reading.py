"""The results that the report shows, read once, and checked that they fit each other."""

import io
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from pneumo.errors import RecordError
from pneumo.evaluation import abstention, decision, flagged, suspected
from pneumo.evaluation.evaluate import Scored
from pneumo.evaluation.metrics import WORDS
from pneumo.evaluation.select_best import over_seeds_name
from pneumo.evaluation.selected import scores_of
from pneumo.models import bundle
from pneumo.record.parse import read_json, read_scores, read_table
from pneumo.record.record import BASELINE, GUARD_METRICS, SUSPECTED_LABELS, Record
from pneumo.record.tree import Tree
from pneumo.report.history import read_history
from pneumo.report.outputs import DATA_PATH, Outputs
from pneumo.report.results import CALIBRATION, Results
from pneumo.scoring import scores, stress

if TYPE_CHECKING:
    from pneumo.params import Bootstrap, Threshold

METRICS_KEYS = (*WORDS, *CALIBRATION, "n", "patients", "threshold", "tp", "fp", "tn", "fn", "ppv", "npv", "ci95")
NESTED = (abstention.GROUP, "at_half", "oracle", "uncalibrated")
CHOICE = ("model", "replicate", "metric", "scores", "reason", "resamples", "n", "patients", "candidates")
CANDIDATE = ("model", "kind", "parameters", "p_best", "difference", "difference_ci95", "within_noise")
EXPLAINED = ("model", "cases", "layers", "mean_correlation", "defined_correlations")
EXTERNAL = (
    "n",
    "patients",
    "threshold",
    "ci95",
    "drop",
    "at_specificity",
    "needed",
    "oracle",
    "subgroups",
    "image_shift",
)
AUDIT = ("features", "near_duplicates", "shift", "shortcut_coefficients")
ABLATION = ("model", "n", "patients", "left_out", "covers", "examples")
CHOICE_PATH = "models/best/choice.json"
ABLATION_PATH, EXPLAIN_PATH = "reports/ablation/ablation.json", "reports/explain/explain.json"


def read_results(root: Path, names: Sequence[str], *, bootstrap: "Bootstrap", policy: "Threshold") -> Results:
    """The results of the candidates `names` below `root`, the project's top folder. `bootstrap`, `policy`: the sections
    bootstrap and threshold.

    Raises RecordError, ManifestError or BundleError where a file is missing or does not fit the others.
    """
    record = Record(Outputs(root))
    choice = _choice(record.tree, names)
    ranked = [candidate["model"] for candidate in choice["candidates"]]
    trained = [
        model.name
        for candidate in choice["candidates"]
        if candidate["kind"] == "backbone"
        for model in record.replicates(candidate["model"])
    ]
    shown = {candidate["model"]: _median(candidate) for candidate in choice["candidates"]}
    shown[choice["model"]] = choice["replicate"]
    baseline = record.model(BASELINE)
    _require(record.tree, DATA_PATH, record.data, ("source", "splits", "audit", "manifest_sha256"))
    explained = read_json(record.tree, EXPLAIN_PATH)
    _require(record.tree, EXPLAIN_PATH, explained, EXPLAINED)
    ablation = read_json(record.tree, ABLATION_PATH)
    _require(record.tree, ABLATION_PATH, ablation, ABLATION)
    model_json = bundle.model_json(root / "models/best")
    ran_for = {"ablation": ablation["model"], "explain": explained["model"], "export": model_json["name"]}
    for stage, name in ran_for.items():
        if name != choice["replicate"]:
            raise RecordError(
                f"{choice['replicate']} was selected, but {stage} last ran for {name}: run `dvc repro {stage}`"
            )
    metrics = {name: _metrics(record, name, *NESTED, "stress") for name in ranked}
    test, validation = (
        {name: _scores(record, root, name, shown[name], split) for name in ranked} for split in ("test", "val")
    )
    _require_same_images(record, test, validation, metrics)
    suspects = read_table(record.tree, SUSPECTED_LABELS, suspected.parse, may_be_empty=True)
    chosen = choice["model"]
    over_seeds = partial(
        _of_ensemble,
        record,
        root,
        model_json,
        test[chosen],
        validation[chosen],
        metrics[chosen],
        suspects["image"].tolist(),
        bootstrap,
        policy,
    )
    return Results(
        choice=choice,
        metrics=metrics,
        shown=shown,
        figures={name: _figures(metrics[name], shown[name], over_seeds) for name in ranked},
        test=test,
        validation=validation,
        external={name: _external(record, name, choice["replicate"]) for name in record.external},
        elsewhere={name: read_scores(record.tree, record.external_paths(name).scores) for name in record.external},
        baseline=_metrics(record, BASELINE, *NESTED),
        baseline_test=baseline.test_scores,
        data=record.data,
        audit={name: _table(record.tree, f"data/audit/{name}.csv") for name in AUDIT},
        suspects=suspects,
        guard=_guard(record.tree),
        history=pd.concat([read_history(root, name) for name in trained]),
        explained=explained,
        ablation=ablation,
        model_json=model_json,
        params=record.tree.text("params.yaml"),
        root=root,
    )


def _require(tree: Tree, path: str, content: Mapping[str, Any], keys: Iterable[str]) -> None:
    missing = [key for key in keys if key not in content]
    if missing:
        raise RecordError(f"{tree.where(path)} has no {missing[0]!r}: {tree.remedy(path)}")


def _guard(tree: Tree) -> dict[str, Any]:
    content = read_json(tree, GUARD_METRICS)
    _require(tree, GUARD_METRICS, content, ("limit", "groups"))
    _require(tree, GUARD_METRICS, content["groups"], (flagged.VALIDATION, flagged.TEST))
    return content


def _table(tree: Tree, path: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(tree.text(path)))


def _choice(tree: Tree, names: Sequence[str]) -> dict[str, Any]:
    choice = read_json(tree, CHOICE_PATH)
    _require(tree, CHOICE_PATH, choice, CHOICE)
    for candidate in choice["candidates"]:
        _require(tree, CHOICE_PATH, candidate, (*CANDIDATE, choice["metric"]))
    compared = {candidate["model"] for candidate in choice["candidates"]}
    if compared != set(names) or choice["model"] not in compared:
        raise RecordError(
            f"{tree.where(CHOICE_PATH)} selects {choice['model']} among {', '.join(sorted(compared))}, but params.yaml "
            f"has {', '.join(sorted(names))}: {tree.remedy(CHOICE_PATH)}"
        )
    return choice


def _median(candidate: Mapping[str, Any]) -> str:
    """The replicate with the median validation score, of an even number the lower one."""
    of_replicates = candidate.get("replicates", {candidate["model"]: 0})
    in_order = sorted(of_replicates, key=of_replicates.__getitem__)
    return in_order[(len(in_order) - 1) // 2]


def _metrics(record: Record, name: str, *keys: str) -> dict[str, Any]:
    metrics = record.figures(name)
    _require(record.tree, f"metrics/{name}.json", metrics, (*METRICS_KEYS, *keys))
    return metrics


def _scores(record: Record, root: Path, candidate: str, name: str, split: Literal["val", "test"]) -> pd.DataFrame:
    """Of the model `name` of a candidate; the ensemble over its seeds has no file of its own."""
    if name == over_seeds_name(candidate):
        return scores_of(root / "models/best", root / "scores" / split)
    return record.model(name).scores(split)


def _figures(metrics: Mapping[str, Any], shown: str, over_seeds: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Metrics of the model that is shown of a candidate. `over_seeds`: gives those of the ensemble over its seeds."""
    if "replicates" not in metrics:
        return metrics
    return {**metrics, **(metrics["replicates"][shown] if shown in metrics["replicates"] else over_seeds())}


def _of_ensemble(
    record: Record,
    root: Path,
    model_json: Mapping[str, Any],
    test: pd.DataFrame,
    validation: pd.DataFrame,
    metrics: Mapping[str, Any],
    suspected_images: Collection[str],
    bootstrap: "Bootstrap",
    policy: "Threshold",
) -> Mapping[str, Any]:
    """Metrics of the ensemble over seeds in models/best."""
    temperatures = {
        name: bundle.model_json(root / "models/best/members" / name)["temperature"] for name in model_json["members"]
    }
    under_stress = {name: record.model(name).stress_logits for name in temperatures}
    stress_logits = stress.mean_logit(
        {name: table for name, table in under_stress.items() if table is not None}, temperatures
    )
    temperature = model_json["temperature"]
    drawn = decision.redrawn_thresholds(validation, stress_logits, temperature, policy, bootstrap)
    decided = (temperature, model_json["threshold"])
    scored = Scored(
        test,
        validation,
        stress_logits,
        *decided,
        drawn,
        list(temperatures),
        suspected_images,
        policy.scores,
        policy.error_rates,
    )
    return scored.measure(metrics["prevalence"])


def _external(record: Record, name: str, selected: str) -> dict[str, Any]:
    path = record.external_paths(name).metrics
    metrics = read_json(record.tree, path)
    _require(record.tree, path, metrics, ("model", *WORDS, *CALIBRATION, *EXTERNAL))
    if metrics["model"] != selected:
        raise RecordError(
            f"{record.tree.where(path)} is of {metrics['model']}, not {selected}: {record.tree.remedy(path)}"
        )
    return metrics


def _require_same_images(
    record: Record,
    test: Mapping[str, pd.DataFrame],
    validation: Mapping[str, pd.DataFrame],
    metrics: Mapping[str, Mapping[str, Any]],
) -> None:
    """Raise RecordError or ManifestError unless all tables are of the same images and of both labels, those of test as
    many as the metrics say.
    """
    for split, tables in (("test", test), ("val", validation)):
        for name, table in tables.items():
            path = f"scores/{split}/{name}.csv"
            where, remedy = record.tree.where(path), record.tree.remedy(path)
            if set(table["label"]) != {0, 1}:
                labels = sorted(set(table["label"]))
                raise RecordError(f"{where} has the labels {labels}, not both 0 and 1: {remedy}")
            if split == "test" and len(table) != metrics[name]["n"]:
                raise RecordError(
                    f"{where} has {len(table)} images, but {record.tree.where(f'metrics/{name}.json')} is of "
                    f"{metrics[name]['n']}: {remedy}"
                )
        scores.same_images(dict(tables), f"scores/{split}")
