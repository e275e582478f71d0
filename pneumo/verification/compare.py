"""What is committed against what was recomputed: the first difference, and where to look for its cause.

Figures must agree to the last digit, except those computed by iteration or from the spread of patients: temperature,
calibration slope and intercept, p values and ends of intervals may differ by one unit in the sixth digit, as they can
between processors and builds of numpy and scipy. Paths are as errors name them.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pneumo.errors import VerifyError
from pneumo.scoring import scores

ITERATED = ("temperature", "calibration_slope", "calibration_intercept", "ci95", "p", "p_holm")
UNIT = 1.5e-6  # one unit in the sixth decimal place, and the error of subtracting two floats
ABSENT = "(absent)"
Row = tuple[str, Any, Any]  # dotted key, base, head


def same(committed: Any, recomputed: Any, path: str, rests_on: Sequence[str], key: str = "", unit: float = 0) -> None:
    """Raise VerifyError with the first place in which two contents of JSON files differ by more than `unit`.

    A key that only one of them has differs, too. Numbers below a key of ITERATED may differ by UNIT.
    """
    if isinstance(committed, Mapping) and isinstance(recomputed, Mapping):
        for name in (*recomputed, *(name for name in committed if name not in recomputed)):
            values = (committed.get(name, ABSENT), recomputed.get(name, ABSENT))
            same(*values, path, rests_on, f"{key}.{name}".strip("."), UNIT if name in ITERATED else unit)
    elif isinstance(committed, list) and isinstance(recomputed, list) and len(committed) == len(recomputed):
        for place, values in enumerate(zip(committed, recomputed, strict=True)):
            same(*values, path, rests_on, f"{key}[{place}]", unit)
    elif not _equal(committed, recomputed, unit):
        raise VerifyError(difference(path, key, committed, recomputed, rests_on))


def same_table(
    text: str,
    table: pd.DataFrame,
    path: str,
    rests_on: Sequence[str],
    write: Callable[[pd.DataFrame, Path], None] = scores.write,
) -> None:
    """The file at `path` holds `text`, and that is `table` as `write` writes it, byte for byte, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "scores.csv")
        write(table, written)
        recomputed = written.read_text(encoding="utf-8").split("\n")
    committed = text.split("\n")
    for at in range(max(len(committed), len(recomputed))):
        before, after = (lines[at] if at < len(lines) else "" for lines in (committed, recomputed))
        if before != after:
            key, was, expected = _cell(before, after, recomputed[0].split(","))
            raise VerifyError(difference(path, f"line {at + 1}, {key}", was, expected, rests_on or [path]))


def difference(path: str, key: str, committed: Any, recomputed: Any, rests_on: Sequence[str]) -> str:
    """A committed figure that is not what was recomputed: file, key, both values, and the scores that it rests on."""
    if recomputed is ABSENT:
        problem = f"{key} is {committed!r}, which is no figure that pneumo computes: it cannot be verified"
    elif committed is ABSENT:
        problem = f"{key} is missing; recomputed {recomputed!r}"
    else:
        problem = f"{key} is {committed!r}; recomputed {recomputed!r}"
    others = [other for other in rests_on if other != path]
    return f"{path}: {problem}\n  rests on {', '.join(rests_on)}\n  {history(path, *others)}"


def differences(base: Any, head: Any, key: str = "") -> list[Row]:
    """Rows of dotted key, base, head where two nested mappings differ; ABSENT where only one has the key."""
    if not (isinstance(base, Mapping) and isinstance(head, Mapping)):
        return [] if base == head and type(base) is type(head) else [(key, base, head)]
    names = [*base, *(name for name in head if name not in base)]
    return [
        row
        for name in names
        for row in differences(base.get(name, ABSENT), head.get(name, ABSENT), f"{key}.{name}".strip("."))
    ]


def history(*paths: str) -> str:
    """How to find out when these files parted ways; of many the first is enough."""
    return f"`git log -p -- {' '.join(paths if len(paths) < 4 else paths[:1])}` shows when they changed"


def numbers(content: Any) -> int:
    """How many numbers `content` of a JSON file holds; a null stands for one that is undefined."""
    if isinstance(content, Mapping):
        return sum(numbers(value) for value in content.values())
    if isinstance(content, list):
        return sum(numbers(value) for value in content)
    return int(content is None or _is_number(content))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(committed: Any, recomputed: Any, unit: float) -> bool:
    if _is_number(committed) and _is_number(recomputed):
        return committed == recomputed or abs(committed - recomputed) <= unit
    return type(committed) is type(recomputed) and committed == recomputed


def _cell(committed: str, recomputed: str, columns: Sequence[str]) -> tuple[str, str, str]:
    """The first column in which two lines of a scores table differ, and both values; the lines if all are the same."""
    cells = list(zip(columns, committed.split(","), recomputed.split(","), strict=False))
    differs = [(f"{column} of {cells[0][1]}", before, after) for column, before, after in cells if before != after]
    return differs[0] if differs else ("the line", committed, recomputed)
