"""Everything that the report joins, read once and checked: choice, metrics, scores, curves, audit, pixels."""

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import pandas as pd

from pneumo.data import manifest, packed
from pneumo.errors import RecordError
from pneumo.evaluation.metrics import METRICS, WORDS
from pneumo.models import bundle
from pneumo.models.curves import CURVES
from pneumo.record.parse import read_json, read_scores
from pneumo.record.record import BASELINE, Model, Record
from pneumo.record.tree import Folder, Tree
from pneumo.scoring import scores

CALIBRATION = {
    "temperature": "temperature",
    **{metric.key: metric.words.removeprefix("calibration ") for metric in METRICS if metric.group == "calibration"},
}
METRICS_KEYS = (*WORDS, *CALIBRATION, "n", "patients", "threshold", "tp", "fp", "tn", "fn", "ppv", "npv", "ci95")
NESTED = ("at_half", "oracle", "uncalibrated")
CHOICE = ("model", "metric", "scores", "reason", "resamples", "n", "patients", "candidates")
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
AUDIT = ("features", "near_duplicates", "shift", "shortcut_coefficients", "suspected_labels")
ABLATION = ("model", "n", "patients", "left_out", "covers", "examples")
CHOICE_PATH, DATA_PATH = "models/best/choice.json", "metrics/data.json"
ABLATION_PATH, EXPLAIN_PATH = "reports/ablation/ablation.json", "reports/explain/explain.json"
STAGES = {  # file or folder -> the stage that writes it
    DATA_PATH: "audit",
    f"metrics/{BASELINE}.json": "audit",
    f"scores/{BASELINE}": "audit",
    "data/audit": "audit",
    "models/best": "select_best",
    "reports/ablation": "ablation",
    "reports/explain": "explain",
}
STAGES_OF_MODELS = {  # folder -> the stages that write what it has of a backbone, of an ensemble
    "scores/val": ("calibrate", "ensemble"),
    "scores/test": ("evaluate", "evaluate_ensemble"),
    "metrics": ("evaluate", "evaluate_ensemble"),
}


@dataclass(frozen=True)
class Outputs(Folder):
    """The project's folder while the pipeline runs: a stage writes what is missing or broken."""

    def remedy(self, path: str) -> str:
        folder, name = str(PurePosixPath(path).parent), PurePosixPath(path).stem
        stage = STAGES.get(path) or STAGES.get(folder, "")
        if not stage and folder in STAGES_OF_MODELS:
            is_ensemble = name in Record(self).section("ensembles")
            stage = f"{STAGES_OF_MODELS[folder][is_ensemble]}@{name}"
        if folder in ("metrics/external", "scores/external"):
            stage = f"evaluate_external@{name}"
        if path.startswith("dvclive/"):
            stage = f"train@{PurePosixPath(path).parts[1]}"
        return f"run `{f'dvc repro {stage}'.strip()}`"


@dataclass(frozen=True)
class Results:
    """`metrics`, `test` and `validation` by name of the model, in the order of the choice; those of the shortcut
    baseline apart. `external`, `elsewhere`: metrics and scores of the selected model by name of the other data set.
    `choice`, `data`, `explained`, `ablation`, `model_json`: choice.json, data.json and so on. `history`: model, epoch
    and the columns of CURVES. `audit`: the tables of data/audit by their names.
    """

    choice: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]
    test: Mapping[str, pd.DataFrame]
    validation: Mapping[str, pd.DataFrame]
    external: Mapping[str, Mapping[str, Any]]
    elsewhere: Mapping[str, pd.DataFrame]
    baseline: Mapping[str, Any]
    baseline_test: pd.DataFrame
    data: Mapping[str, Any]
    audit: Mapping[str, pd.DataFrame]
    history: pd.DataFrame
    explained: Mapping[str, Any]
    ablation: Mapping[str, Any]
    model_json: Mapping[str, Any]
    params: str
    root: Path

    @property
    def selected(self) -> str:
        """Name of the model that select_best selected."""
        return self.choice["model"]

    @property
    def best(self) -> Mapping[str, Any]:
        """Its metrics on the test set."""
        return self.metrics[self.selected]

    @property
    def phantom(self) -> bool:
        """Whether the images were drawn by a program."""
        return self.data["source"] == "phantom"

    @property
    def params_sha256(self) -> str:
        return hashlib.sha256(self.params.encode()).hexdigest()

    @property
    def features(self) -> pd.DataFrame:
        """The audit's features with split and label of each image."""
        rows = manifest.read_manifest(self.root / "data/processed/manifest.csv")[["image", "split", "label"]]
        return rows.merge(self.audit["features"], on="image", validate="one_to_one")

    def elsewhere_split(self, name: str) -> packed.Split:
        """Pixels and manifest rows of another hospital's data set."""
        return packed.read_split(self.root / "data/external" / name / "processed", "test")

    def split(self, split: str) -> packed.Split:
        """Pixels and manifest rows of one split."""
        return packed.read_split(self.root / "data/processed", split)


def read_results(root: Path, names: Sequence[str]) -> Results:
    """The results of the candidates `names` below `root`, the project's top folder.

    Raises RecordError, ManifestError or BundleError where a file is missing or does not fit the others.
    """
    record = Record(Outputs(root))
    choice = _choice(record.tree, names)
    ranked = {candidate["model"]: record.model(candidate["model"]) for candidate in choice["candidates"]}
    trained = [candidate["model"] for candidate in choice["candidates"] if candidate["kind"] == "backbone"]
    baseline = record.model(BASELINE)
    _require(record.tree, DATA_PATH, record.data, ("source", "splits", "audit", "manifest_sha256"))
    explained = read_json(record.tree, EXPLAIN_PATH)
    _require(record.tree, EXPLAIN_PATH, explained, EXPLAINED)
    ablation = read_json(record.tree, ABLATION_PATH)
    _require(record.tree, ABLATION_PATH, ablation, ABLATION)
    model_json = bundle.model_json(root / "models/best")
    ran_for = {"ablation": ablation["model"], "explain": explained["model"], "select_best": model_json["name"]}
    for stage, name in ran_for.items():
        if name != choice["model"]:
            raise RecordError(
                f"{choice['model']} was selected, but {stage} last ran for {name}: run `dvc repro {stage}`"
            )
    return Results(
        choice=choice,
        metrics={name: _metrics(model, *NESTED, "stress") for name, model in ranked.items()},
        test=_tables(ranked, "test"),
        validation=_tables(ranked, "val"),
        external={name: _external(record, name, choice["model"]) for name in record.external},
        elsewhere={name: read_scores(record.tree, record.external_paths(name).scores) for name in record.external},
        baseline=_metrics(baseline, *NESTED),
        baseline_test=baseline.test_scores,
        data=record.data,
        audit={name: _table(record.tree, f"data/audit/{name}.csv") for name in AUDIT},
        history=pd.concat([_history(root, name) for name in trained]),
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


def _table(tree: Tree, path: str, separator: str = ",") -> pd.DataFrame:
    return pd.read_csv(io.StringIO(tree.text(path)), sep=separator)


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


def _metrics(model: Model, *keys: str) -> dict[str, Any]:
    _require(model.tree, model.path("metrics"), model.metrics, (*METRICS_KEYS, *keys))
    return model.metrics


def _external(record: Record, name: str, selected: str) -> dict[str, Any]:
    path = record.external_paths(name).metrics
    metrics = read_json(record.tree, path)
    _require(record.tree, path, metrics, ("model", *WORDS, *CALIBRATION, *EXTERNAL))
    if metrics["model"] != selected:
        raise RecordError(
            f"{record.tree.where(path)} is of {metrics['model']}, not {selected}: {record.tree.remedy(path)}"
        )
    return metrics


def _tables(models: Mapping[str, Model], split: Literal["val", "test"]) -> dict[str, pd.DataFrame]:
    """The scores of each model: of the same images, of both labels, on test as many as its metrics say."""
    tables = {name: model.scores(split) for name, model in models.items()}
    for name, table in tables.items():
        model, remedy = models[name], models[name].tree.remedy(models[name].path(split))
        if set(table["label"]) != {0, 1}:
            labels = sorted(set(table["label"]))
            raise RecordError(f"{model.where(split)} has the labels {labels}, not both 0 and 1: {remedy}")
        if split == "test" and len(table) != model.metrics["n"]:
            raise RecordError(
                f"{model.where(split)} has {len(table)} images, but {model.where('metrics')} is of "
                f"{model.metrics['n']}: {remedy}"
            )
    scores.same_images(tables, f"scores/{split}")
    return tables


def _history(root: Path, name: str) -> pd.DataFrame:
    """model, epoch and the columns of CURVES; no rows of a model that is a linear probe alone.

    Of an epoch that was run again the last row counts.
    """
    tree, folder = Outputs(root), f"dvclive/{name}/plots/metrics"
    if (root / folder).is_dir() and not any((root / folder).iterdir()):
        return pd.DataFrame(columns=["model", "epoch", *CURVES])
    columns = []
    for column, curve in CURVES.items():
        path, values = f"{folder}/{curve}.tsv", PurePosixPath(curve).name
        table = _table(tree, path, "\t")
        if not {"step", values} <= set(table.columns) or table.empty:
            raise RecordError(
                f"{tree.where(path)}: expected rows with the columns step and {values}, found {len(table)} rows with "
                f"{', '.join(map(str, table.columns))}: {tree.remedy(path)}"
            )
        columns.append(table.drop_duplicates("step", keep="last").set_index("step")[values].rename(column))
    history = pd.concat(columns, axis=1).sort_index().rename_axis("epoch").reset_index()
    history.insert(0, "model", name)
    return history
