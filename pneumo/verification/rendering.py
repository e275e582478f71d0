"""The lines of a marked table.

Its folders have params.yaml, metrics/ and scores/; `.` is the project itself. Rows are the candidates, best on
validation first, the selected one in bold; then the shortcut baseline where there is one, and the published line where
the test set is the official one. `models=best` keeps the selected one alone. `summary=mean` adds a row for each model
of several folders: mean and standard deviation over these runs. `summary=seeds` adds rows to a candidate with several
seeds: each replicate before its mean, the standard deviation after it. A column is a key of metrics/NAME.json, as
`accuracy` or `oracle.accuracy`, or of the validation set as `val_accuracy`; `accuracy:ci` adds its 95 % interval. Two
more: run, model.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pneumo.errors import VerifyError
from pneumo.evaluation import choice, suspected
from pneumo.evaluation.metrics import METRICS
from pneumo.evaluation.over_seeds import spread
from pneumo.record.record import BASELINE
from pneumo.record.tree import Folder
from pneumo.report import markdown, published
from pneumo.verification.markers import Spec
from pneumo.verification.run import Run, read_run

HEADERS = {"weights": "starting weights", "input_size": "input", "roc_auc": "test ROC AUC"}
WORDS = {metric.key: metric.words for metric in METRICS} | {"n": "images"}
PLACES = {
    "at_half": "at 0.5",
    "oracle": "oracle",
    "uncalibrated": "uncalibrated",
    "stress": "stress validation",
    suspected.GROUP: "without suspected labels,",
}
PUBLISHED_ROW: Mapping[str, Any] = {
    "model": f"published: {published.MODEL}",
    "weights": "imagenet",
    **published.FIGURES,
}
Row = Mapping[str, Any]


def render(spec: Spec, page: Path, top: Path, where: str) -> list[str]:
    """Lines of the table that `spec` asks for on `page`. Raises VerifyError where a folder or column is missing."""
    columns = spec.columns
    if len(spec.folders) > 1 and "run" not in columns:
        columns = ("run", *columns)
    lines: list[list[str]] = []
    runs: dict[str, list[Row]] = {}
    official = False
    for folder in spec.folders:
        run = read_run(Folder(top / folder))
        link = os.path.relpath(top / folder, page.parent).replace(os.sep, "/")
        name = {"run": f"[{Path(folder).name or 'this commit'}]({link})"}
        for row in _rows(run, spec, where):
            lines.append([_cell({**row, **name}, column, where) for column in columns])
            runs.setdefault(_model(row), []).append(row)
        official |= run.record.data.get("source") != "phantom" and len(run.test_scores) == published.TEST_IMAGES
    if spec.summary:
        lines += [[_mean(rows, column, where) for column in columns] for rows in runs.values() if len(rows) > 1]
    if official and "published" not in spec.without:
        lines.append([_cell(PUBLISHED_ROW, key, where) if _key(key) in PUBLISHED_ROW else "" for key in columns])
    return markdown.table([_header(column) for column in columns], lines)


def _rows(run: Run, spec: Spec, where: str) -> list[Row]:
    """Metrics of each model with its name and validation metrics, best on validation first."""
    best = str(run.record.best.get("model"))
    candidates = {**run.candidates, **({BASELINE: [BASELINE]} if BASELINE in run.models else {})}
    names = [best if name == "best" else name for name in spec.models] or run.record.candidates
    unknown = [name for name in names if name not in candidates]
    if unknown:
        folder = run.record.tree.where("")
        raise VerifyError(f"{where}: {folder} has no model {unknown[0]}; it has {', '.join(candidates)}")
    if BASELINE in candidates and BASELINE not in (*names, *spec.without):
        names = [*names, BASELINE]
    models = [model for name in names for model in candidates[name]]
    ranked = choice.ranked(
        {name: candidates[name] for name in names},
        {model: run.models[model].val_scores for model in models},
        {model: run.model_json(model) for model in models},
        run.basis.select.metric,
    )
    ranked.sort(key=lambda candidate: candidate["model"] == BASELINE)
    return [
        row
        for candidate in ranked
        for row in _with_seeds(
            run, candidate, best, shown=spec.summary == ("seeds",) and candidate["model"] != BASELINE
        )
    ]


def _with_seeds(run: Run, candidate: Row, best: str, *, shown: bool) -> list[Row]:
    """The row of a candidate, and where they are `shown` those of its replicates and their standard deviation."""
    name, figures = candidate["model"], run.record.figures(candidate["model"])
    of_it = {**figures, **{f"val_{key}": value for key, value in candidate.items()}}
    title = f"**{name}**" if name == best else name
    if not shown or "replicates" not in figures:
        return [{**of_it, "model": title}]
    models = [run.models[model] for model in run.candidates[name]]
    measured = [choice.measured(model.val_scores, run.model_json(model.name)) for model in models]
    rows: list[Row] = [
        {**model.metrics, **{f"val_{key}": value for key, value in of_val.items()}, "model": f"{name}, seed {seed}"}
        for model, of_val, seed in zip(models, measured, figures["seeds"], strict=True)
    ]
    sd = {**figures["sd"], **{f"val_{key}": spread([each[key] for each in measured]) for key in measured[0]}}
    count = len(models)
    return [*rows, {**of_it, "model": f"{title}, mean of {count}"}, {**sd, "model": f"{name}, SD of {count}"}]


def _model(row: Row) -> str:
    return str(row["model"]).strip("*")


def _key(column: str) -> str:
    return column.removesuffix(":ci")


def _header(column: str) -> str:
    key = _key(column)
    metric = key.removeprefix("val_").rpartition(".")[2]
    words = WORDS.get(metric, metric.replace("_", " "))
    place = "validation" if key.startswith("val_") else PLACES.get(key.partition(".")[0], "")
    header = HEADERS.get(key) or f"{place} {words}".strip()
    return f"{header} [95 %]" if column.endswith(":ci") else header


def _value(row: Row, column: str, where: str) -> Any:
    """What the row has at the dotted key of a column; None where the baseline lacks it."""
    value: Any = row
    for key in _key(column).split("."):
        if not isinstance(value, Mapping) or key not in value:
            if _model(row) == BASELINE or ", " in _model(row):  # of one seed, or of their spread, less is kept
                return None
            raise VerifyError(f"{where}: {_model(row)} has no {_key(column)}, which is a column of the table")
        value = value[key]
    return value


def _cell(row: Row, column: str, where: str) -> str:
    key, value = _key(column), _value(row, column, where)
    if column.endswith(":ci"):
        return markdown.with_interval(value, row.get("ci95", {}).get(key))
    if key == "weights" and key in row:
        return markdown.weights(row)
    if isinstance(value, str) or value is None:
        return value or "-"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if key.endswith(("threshold", "temperature")) else markdown.number(value)


def _mean(rows: Sequence[Row], column: str, where: str) -> str:
    """A cell over several runs of one model; empty where it is no number."""
    if column == "run":
        return f"mean ± SD of {len(rows)}"
    if column == "model":
        return _model(rows[0])
    if _key(column) in ("weights", "input_size"):
        cells = {_cell(row, _key(column), where) for row in rows}
        return cells.pop() if len(cells) == 1 else ""
    values = [_value(row, column, where) for row in rows]
    if None in values:
        return "-"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
