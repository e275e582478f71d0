"""The tables of README.md, docs/ and results/README.md, generated between two marker lines from metrics/ and scores/:

    <!-- pneumo table: FOLDER [FOLDER ...] [columns=A,B] [models=A,B] [without=shortcut,published] [summary=mean] -->
    <!-- /pneumo table -->

FOLDER has params.yaml, metrics/ and scores/; `.` is the project itself. Rows are the candidates, best on validation
first, the chosen one in bold; then the shortcut baseline where there is one, and the published line where the test part
is the official one. `models=best` keeps the chosen one alone. With `summary=mean` there is a row more for each model of
several folders: mean and standard deviation over these runs. A column is a key of metrics/NAME.json, as `accuracy` or
`oracle.accuracy`, of the validation part as `val_accuracy`; `accuracy:ci` adds its 95 % interval. Also: run, model.
"""

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pneumo.errors import VerifyError
from pneumo.evaluation import choice
from pneumo.evaluation.metrics import METRICS
from pneumo.report import markdown, published
from pneumo.verification import record
from pneumo.verification.record import BASELINE, Record

STRICT = re.compile(r"<!-- (?P<end>/)?pneumo table(?:: (?P<spec>.+))? -->")
LOOSE = re.compile(r" {0,3}<!--\s*/?\s*pneumo\b", re.IGNORECASE)
FIGURES = re.compile(r"^\s*\|.*\d\.\d\d")
COLUMNS = (
    *("model", "weights", "input_size", "val_roc_auc", "roc_auc:ci", "accuracy:ci"),
    *("recall", "specificity", "precision", "f1", "threshold"),
)
HEADERS = {"weights": "starting weights", "input_size": "input", "roc_auc": "test ROC AUC"}
PUBLISHED_ROW: Mapping[str, Any] = {
    "model": f"published: {published.MODEL}",
    "weights": "imagenet",
    **published.FIGURES,
}
WORDS = {metric.key: metric.words for metric in METRICS} | {"n": "images"}
PLACES = {"at_half": "at 0.5", "oracle": "oracle", "uncalibrated": "uncalibrated", "stress": "stress validation"}
EXTRA_ROWS = (BASELINE, "published")


def pages(top: Path) -> list[Path]:
    """The pages below `top` that may have marked tables."""
    return [
        page
        for page in (top / "README.md", *sorted((top / "docs").glob("*.md")), top / "results/README.md")
        if page.is_file()
    ]


@dataclass(frozen=True)
class Spec:
    """What an opening marker asks for. `folders`: relative to the project's top folder, with /."""

    folders: tuple[str, ...]
    columns: tuple[str, ...] = COLUMNS
    models: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    summary: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """Two markers and the lines between them; `line` is the number of the first marker, from 1."""

    line: int
    spec: Spec
    content: list[str] = field(default_factory=list)


def check(page: Path, top: Path, known: Sequence[str], *, others: bool) -> tuple[int, int]:
    """Tables and cells of `page` that are what the metrics say.

    `known`: folders whose metrics are verified. A table of another folder is skipped with `others`, else an error.
    Raises VerifyError with the first line that differs.
    """
    tables = cells = 0
    for block in blocks(page):
        unknown = [folder for folder in block.spec.folders if folder not in known]
        if unknown and others:
            continue
        where = f"{page}, line {block.line}"
        if unknown:
            raise VerifyError(
                f"{where}: the table shows {unknown[0]}, which is not among the verified folders: {', '.join(known)}"
            )
        expected = render(block.spec, page, top, where)
        for place in range(max(len(expected), len(block.content))):
            actual, expected_line = (lines[place] if place < len(lines) else "" for lines in (block.content, expected))
            if actual != expected_line:
                raise VerifyError(
                    f"{page}, line {block.line + 1 + place}: the table is not what the metrics of "
                    f"{', '.join(block.spec.folders)} say\n  is:     {actual}\n  should: {expected_line}\n"
                    "  If the metrics are right, `pneumo tables` rewrites all tables."
                )
        tables, cells = tables + 1, cells + sum(line.count("|") - 1 for line in expected[2:])
    return tables, cells


def write(page: Path, top: Path) -> int:
    """Write all tables of `page` anew, and return how many it has. Raises VerifyError where a marker is wrong."""
    lines = page.read_text(encoding="utf-8").split("\n")
    tables = blocks(page)
    for block in reversed(tables):
        lines[block.line : block.line + len(block.content)] = render(
            block.spec, page, top, f"{page}, line {block.line}"
        )
    page.write_text("\n".join(lines), encoding="utf-8", newline="\n")
    return len(tables)


def named(folder: Path, top: Path) -> str:
    """`folder` as a marker names it."""
    return Path(os.path.relpath(folder, top)).as_posix()


def unmarked(page: Path) -> list[int]:
    """Line numbers of table rows with figures that stand outside of markers, where nothing verifies them."""
    inside = {block.line + place for block in blocks(page) for place in range(len(block.content) + 1)}
    lines = page.read_text(encoding="utf-8").split("\n")
    return [at for at, line in enumerate(lines, start=1) if FIGURES.match(line) and at not in inside]


def blocks(page: Path) -> list[Block]:
    """The marked tables of `page`. Raises VerifyError where a marker is misspelt, unclosed or without its opening."""
    closed: list[Block] = []
    inside: Block | None = None
    for at, line in enumerate(page.read_text(encoding="utf-8").split("\n"), start=1):
        where = f"{page}, line {at}"
        marker = STRICT.fullmatch(line.rstrip())
        if marker is None and LOOSE.match(line):
            raise VerifyError(
                f"{where}: expected <!-- pneumo table: FOLDER --> or <!-- /pneumo table -->, found {line}"
            )
        if marker is None:
            if inside:
                inside.content.append(line)
        elif marker["end"]:
            if inside is None or marker["spec"]:
                raise VerifyError(f"{where}: {line} closes no table, or names one")
            closed.append(inside)
            inside = None
        elif inside:
            raise VerifyError(f"{page}, line {inside.line}: the table is not closed before the next one, line {at}")
        else:
            inside = Block(at, parse(marker["spec"] or "", where))
    if inside:
        raise VerifyError(f"{page}, line {inside.line}: the table is not closed: expected <!-- /pneumo table -->")
    return closed


def parse(text: str, where: str) -> Spec:
    """The words of an opening marker. `where` names its page and line in errors."""
    options: dict[str, tuple[str, ...]] = {}
    folders = []
    for word in text.split():
        key, equals, value = word.partition("=")
        if not equals:
            folders.append(posixpath.normpath(word))
        elif key not in ("columns", "models", "without", "summary"):
            raise VerifyError(f"{where}: {key} is no option of a table; expected columns, models, without or summary")
        else:
            options[key] = tuple(value.split(","))
    for word in options.get("without", ()):
        if word not in EXTRA_ROWS:
            raise VerifyError(f"{where}: without={word}; expected {' or '.join(EXTRA_ROWS)}")
    if options.get("summary", ("mean",)) != ("mean",):
        raise VerifyError(f"{where}: summary={','.join(options['summary'])}; expected mean")
    outside = [folder for folder in folders if folder.startswith(("/", ".."))]
    if outside or not folders:
        raise VerifyError(f"{where}: expected folders of the project, as in results/NAME; found {outside or 'none'}")
    return Spec(tuple(folders), **options)


def render(spec: Spec, page: Path, top: Path, where: str) -> list[str]:
    """Lines of the table that `spec` asks for on `page`. Raises VerifyError where a folder or column is not there."""
    columns = spec.columns
    if len(spec.folders) > 1 and "run" not in columns:
        columns = ("run", *columns)
    rows: list[list[str]] = []
    runs: dict[str, list[Mapping[str, Any]]] = {}
    official = False
    for folder in spec.folders:
        read = record.read_record(top / folder)
        link = os.path.relpath(top / folder, page.parent).replace(os.sep, "/")
        run = {"run": f"[{Path(folder).name or 'this commit'}]({link})"}
        models = _models(read, spec, where)
        rows += [[_cell(one | run, key, where) for key in columns] for one in models]
        for one in models:
            runs.setdefault(one["model"].strip("*"), []).append(one)
        official |= read.data.get("source") != "phantom" and len(read.test) == published.TEST_IMAGES
    if spec.summary:
        rows += [[_mean(some, key, where) for key in columns] for some in runs.values() if len(some) > 1]
    if official and "published" not in spec.without:
        rows.append([_cell(PUBLISHED_ROW, key, where) if _name(key) in PUBLISHED_ROW else "" for key in columns])
    return markdown.table([_header(key) for key in columns], rows)


def _models(read: Record, spec: Spec, where: str) -> list[dict[str, Any]]:
    """Metrics of each row with its name and validation metrics, best on validation first."""
    best = str(read.best.get("model"))
    names = [best if name == "best" else name for name in spec.models] or list(read.basis.candidates)
    unknown = [name for name in names if name not in read.models]
    if unknown:
        raise VerifyError(f"{where}: {read.folder} has no model {unknown[0]}; it has {', '.join(read.models)}")
    if BASELINE in read.models and BASELINE not in (*names, *spec.without):
        names.append(BASELINE)
    ranked = choice.ranked(
        {name: read.models[name].validation for name in names},
        {name: read.model_json(name) for name in names},
        read.basis.select.metric,
    )
    ranked.sort(key=lambda one: one["model"] == BASELINE)
    return [
        {**read.models[one["model"]].metrics}
        | {f"val_{key}": value for key, value in one.items()}
        | {"model": f"**{best}**" if one["model"] == best else one["model"]}
        for one in ranked
    ]


def _name(column: str) -> str:
    return column.removesuffix(":ci")


def _header(column: str) -> str:
    name = _name(column)
    key = name.removeprefix("val_").rpartition(".")[2]
    word = WORDS.get(key, key.replace("_", " "))
    place = PLACES.get(name.partition(".")[0], "")
    part = "validation" if name.startswith("val_") else place
    header = HEADERS.get(name) or f"{part} {word}".strip()
    return f"{header} [95 %]" if column.endswith(":ci") else header


def _cell(row: Mapping[str, Any], column: str, where: str) -> str:
    name = _name(column)
    value: Any = row
    for key in name.split("."):
        if not isinstance(value, Mapping) or key not in value:
            if row["model"] == BASELINE:
                return "-"
            raise VerifyError(f"{where}: {row['model'].strip('*')} has no {name} for a column of the table")
        value = value[key]
    if column.endswith(":ci"):
        return markdown.with_interval(value, row.get("ci95", {}).get(name))
    return _written(name, value, row)


def _mean(some: Sequence[Mapping[str, Any]], column: str, where: str) -> str:
    """A cell over several runs of one model; empty where it is no number."""
    if column == "run":
        return f"mean ± SD of {len(some)}"
    if column == "model":
        return str(some[0]["model"]).strip("*")
    cells = [_cell(one, _name(column), where) for one in some]
    if _name(column) in ("weights", "input_size"):
        return cells[0] if len(set(cells)) == 1 else ""
    values: list[Any] = list(some)
    for key in _name(column).split("."):
        values = [value[key] for value in values]
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def _written(name: str, value: Any, row: Mapping[str, Any]) -> str:
    if name == "weights":
        return markdown.weights(row)
    if isinstance(value, str) or value is None:
        return value or "-"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if name.endswith(("threshold", "temperature")) else markdown.number(value)
