"""Everything that the report joins, read once and checked: choice, metrics, scores, curves, audit, pixels."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pneumo.data import manifest, packed
from pneumo.errors import BundleError, ManifestError
from pneumo.evaluation.metrics import METRICS, WORDS
from pneumo.models import bundle
from pneumo.models.curves import CURVES
from pneumo.scoring import scores

CALIBRATION = {
    "temperature": "temperature",
    **{metric.key: metric.words.removeprefix("calibration ") for metric in METRICS if metric.group == "calibration"},
}
BASELINE = "shortcut"
NEEDED = (*WORDS, *CALIBRATION, "n", "patients", "threshold", "tp", "fp", "tn", "fn", "ppv", "npv", "ci95")
NESTED = ("at_half", "oracle", "uncalibrated")
CHOICE = ("model", "metric", "scores", "reason", "resamples", "n", "patients", "candidates")
CANDIDATE = ("model", "kind", "parameters", "p_best", "difference", "difference_ci95", "within_noise")
EXPLAINED = ("model", "cases", "layers", "mean_correlation", "defined_correlations")
AUDIT = ("features", "near_duplicates", "shift", "shortcut_coefficients", "suspected_labels")


@dataclass(frozen=True)
class Results:
    """`metrics`, `test` and `validation` by name of the model, in the order of the choice; those of the shortcut
    baseline apart. `choice`, `data`, `explained`, `model_json`: choice.json, data.json, explain.json and model.json.
    `history`: model, epoch and the columns of CURVES. `audit`: the tables of data/audit by their names.
    """

    choice: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]
    test: Mapping[str, pd.DataFrame]
    validation: Mapping[str, pd.DataFrame]
    baseline: Mapping[str, Any]
    baseline_test: pd.DataFrame
    data: Mapping[str, Any]
    audit: Mapping[str, pd.DataFrame]
    history: pd.DataFrame
    explained: Mapping[str, Any]
    model_json: Mapping[str, Any]
    params: str
    root: Path

    @property
    def chosen(self) -> str:
        """Name of the model that select_best took."""
        return self.choice["model"]

    @property
    def best(self) -> Mapping[str, Any]:
        """Test metrics of the chosen model."""
        return self.metrics[self.chosen]

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

    def split(self, split: str) -> packed.Split:
        """Pixels and manifest rows of one split."""
        return packed.read_split(self.root / "data/processed", split)


def read_results(root: Path, names: Sequence[str]) -> Results:
    """The results of the candidates `names` below `root`, the project's top folder.

    Raises ManifestError or BundleError where a file is missing or does not fit the others.
    """
    choice = _choice(root / "models/best/choice.json", names)
    ranked = [candidate["model"] for candidate in choice["candidates"]]
    trained = [candidate["model"] for candidate in choice["candidates"] if candidate["kind"] == "backbone"]
    metrics = {name: _metrics(root / f"metrics/{name}.json", f"evaluate@{name}") for name in ranked}
    for name, candidate in metrics.items():
        _require(root / f"metrics/{name}.json", candidate, ("stress",), f"evaluate@{name}")
    baseline = _metrics(root / f"metrics/{BASELINE}.json", "audit")
    data = _json(root / "metrics/data.json", "audit")
    _require(root / "metrics/data.json", data, ("source", "splits", "audit", "manifest_sha256"), "audit")
    explained = _json(root / "reports/explain/explain.json", "explain")
    _require(root / "reports/explain/explain.json", explained, EXPLAINED, "explain")
    model_json = bundle.model_json(root / "models/best")
    for stage, name in {"explain": explained["model"], "select_best": model_json["name"]}.items():
        if name != choice["model"]:
            raise BundleError(
                f"{choice['model']} is chosen, and what {stage} left is of {name}: run `dvc repro {stage}`"
            )
    return Results(
        choice=choice,
        metrics=metrics,
        test=_tables(root / "scores/test", metrics),
        validation=_tables(root / "scores/val", dict.fromkeys(ranked)),
        baseline=baseline,
        baseline_test=scores.read_scores(root / "scores/shortcut/test.csv"),
        data=data,
        audit={name: _audited(root / f"data/audit/{name}.csv") for name in AUDIT},
        history=pd.concat([_history(root / "dvclive" / name / "plots/metrics", name) for name in trained]),
        explained=explained,
        model_json=model_json,
        params=(root / "params.yaml").read_text(),
        root=root,
    )


def _json(path: Path, stage: str) -> dict[str, Any]:
    remedy = f"dvc repro {stage}"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{path} is missing: run `{remedy}`") from None
    except ValueError as error:
        raise BundleError(f"{path} is not JSON ({error}): run `{remedy} --force`") from None
    if not isinstance(content, dict):
        raise BundleError(f"{path} holds a {type(content).__name__}; expected an object: run `{remedy} --force`")
    return content


def _require(path: Path, content: Mapping[str, Any], keys: Iterable[str], stage: str) -> None:
    missing = [key for key in keys if key not in content]
    if missing:
        raise BundleError(f"{path} has no {missing[0]!r}: run `dvc repro {stage} --force`")


def _audited(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise BundleError(f"{path} is missing: run `dvc repro audit`")
    return pd.read_csv(path)


def _choice(path: Path, names: Sequence[str]) -> dict[str, Any]:
    choice = _json(path, "select_best")
    _require(path, choice, CHOICE, "select_best")
    for candidate in choice["candidates"]:
        _require(path, candidate, (*CANDIDATE, choice["metric"]), "select_best")
    compared = {candidate["model"] for candidate in choice["candidates"]}
    if compared != set(names) or choice["model"] not in compared:
        raise BundleError(
            f"{path} chose {choice['model']} among {', '.join(sorted(compared))}, and params.yaml has "
            f"{', '.join(sorted(names))}: run `dvc repro select_best`"
        )
    return choice


def _metrics(path: Path, stage: str) -> dict[str, Any]:
    content = _json(path, stage)
    _require(path, content, (*NEEDED, *NESTED), stage)
    return content


def _tables(folder: Path, metrics: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """The scores of each model: of the same images, of both labels, as many as its metrics (if given) say."""
    tables = {name: scores.read_scores(folder / f"{name}.csv") for name in metrics}
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        if set(table["label"]) != {0, 1}:
            raise ManifestError(f"{path}: labels are {sorted(set(table['label']))}; expected both 0 and 1")
        if metrics[name] and len(table) != metrics[name]["n"]:
            raise ManifestError(
                f"{path} has {len(table)} images, its metrics are of {metrics[name]['n']}: run `dvc repro`"
            )
    scores.same_images(tables, str(folder))
    return tables


def _history(folder: Path, name: str) -> pd.DataFrame:
    """model, epoch and the columns of CURVES; no rows of a model that is a linear probe alone.

    Of an epoch that was run again the last row counts.
    """
    columns = []
    if folder.is_dir() and not any(folder.iterdir()):
        return pd.DataFrame(columns=["model", "epoch", *CURVES])
    for column, name_of_file in CURVES.items():
        path = folder / f"{name_of_file}.tsv"
        if not path.is_file():
            raise BundleError(f"{path} is missing: run `dvc repro --force train@{name}`")
        table = pd.read_csv(path, sep="\t")
        if not {"step", path.stem} <= set(table.columns) or table.empty:
            raise BundleError(
                f"{path}: expected rows with the columns step and {path.stem}, found {len(table)} rows with "
                f"{', '.join(map(str, table.columns))}: run `dvc repro --force train@{name}`"
            )
        columns.append(table.drop_duplicates("step", keep="last").set_index("step")[path.stem].rename(column))
    history = pd.concat(columns, axis=1).sort_index().rename_axis("epoch").reset_index()
    history.insert(0, "model", name)
    return history
