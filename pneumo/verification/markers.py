"""Marked tables in Markdown pages: between two lines, of which the first says what the table shows.

<!-- pneumo table: FOLDER [FOLDER ...] [columns=A,B] [models=A,B] [without=shortcut,published] [summary=mean|seeds] -->
<!-- /pneumo table -->
"""

import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path

from pneumo.errors import VerifyError
from pneumo.record.record import BASELINE

STRICT = re.compile(r"<!-- (?P<end>/)?pneumo table(?:: (?P<spec>.+))? -->")
LOOSE = re.compile(r" {0,3}<!--\s*/?\s*pneumo\b", re.IGNORECASE)
COLUMNS = (
    *("model", "weights", "input_size", "val_roc_auc", "roc_auc:ci", "accuracy:ci"),
    *("recall", "specificity", "precision", "f1", "threshold"),
)
OPTIONS = ("columns", "models", "without", "summary")
EXTRA_ROWS = (BASELINE, "published")


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


def blocks(page: Path) -> list[Block]:
    """The marked tables of `page`. Raises VerifyError where a marker is misspelt, unclosed or without its opening."""
    closed: list[Block] = []
    inside: Block | None = None
    for at, line in enumerate(page.read_text(encoding="utf-8").split("\n"), start=1):
        where = f"{page}, line {at}"
        marker = STRICT.fullmatch(line.rstrip())
        if marker is None and LOOSE.match(line):
            raise VerifyError(f"{where}: expected <!-- pneumo table: FOLDER --> or <!-- /pneumo table -->, not {line}")
        if marker is None:
            if inside:
                inside.content.append(line)
        elif marker["end"]:
            if inside is None or marker["spec"]:
                raise VerifyError(f"{where}: {line} closes no table; expected <!-- /pneumo table --> after a table")
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
        elif key not in OPTIONS:
            raise VerifyError(f"{where}: tables have no option {key}; expected one of {', '.join(OPTIONS)}")
        else:
            options[key] = tuple(value.split(","))
    for word in options.get("without", ()):
        if word not in EXTRA_ROWS:
            raise VerifyError(f"{where}: without={word}; expected {' or '.join(EXTRA_ROWS)}")
    if options.get("summary", ("mean",)) not in (("mean",), ("seeds",)):
        raise VerifyError(f"{where}: summary={','.join(options['summary'])}; expected mean or seeds")
    outside = [folder for folder in folders if folder.startswith(("/", ".."))]
    if outside or not folders:
        raise VerifyError(f"{where}: expected folders of the project, as in results/NAME; found {outside or 'none'}")
    return Spec(tuple(folders), **options)
