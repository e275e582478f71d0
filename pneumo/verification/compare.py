"""What is committed against what was recomputed: the first difference, and where to look for its cause.

Agreement is to the last digit, except of what is found by iteration or as a percentile of resamples: temperature,
calibration slope and intercept, and ends of intervals may differ by one unit in the sixth digit, as they can between
processors and builds of numpy and scipy.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pneumo.errors import VerifyError
from pneumo.scoring import scores

ITERATED = ("temperature", "calibration_slope", "calibration_intercept", "ci95")
UNIT = 1.5e-6  # one unit in the sixth decimal place, and the error of subtracting two floats
ABSENT = "(absent)"
CODE = ("pneumo/", "stages/")  # folders of the code that stages run
Row = tuple[str, Any, Any]  # dotted key, base, head


def same(committed: Any, right: Any, path: Path, rests_on: Sequence[Path], key: str = "", unit: float = 0) -> None:
    """Raise VerifyError with the first place in which two contents of JSON files differ by more than `unit`.

    A key that only one of them has differs, too. Numbers below a key of ITERATED may differ by UNIT.
    """
    if isinstance(committed, Mapping) and isinstance(right, Mapping):
        for name in (*right, *(name for name in committed if name not in right)):
            values = (committed.get(name, ABSENT), right.get(name, ABSENT))
            same(*values, path, rests_on, f"{key}.{name}".strip("."), UNIT if name in ITERATED else unit)
    elif isinstance(committed, list) and isinstance(right, list) and len(committed) == len(right):
        for place, values in enumerate(zip(committed, right, strict=True)):
            same(*values, path, rests_on, f"{key}[{place}]", unit)
    elif not _equal(committed, right, unit):
        raise VerifyError(difference(path, key, committed, right, rests_on))


def same_file(
    path: Path,
    table: pd.DataFrame,
    rests_on: Sequence[Path],
    write: Callable[[pd.DataFrame, Path], None] = scores.write,
) -> None:
    """The file holds `table` as `write` writes it, byte for byte, so that nothing else is in it."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "scores.csv")
        write(table, written)
        recomputed = written.read_text(encoding="utf-8").split("\n")
    lines = path.read_text(encoding="utf-8").split("\n")
    for at in range(max(len(lines), len(recomputed))):
        committed, expected = (lines[at] if at < len(lines) else "" for lines in (lines, recomputed))
        if committed != expected:
            key, was, right_value = _cell(committed, expected, recomputed[0].split(","))
            raise VerifyError(difference(path, f"line {at + 1}, {key}", was, right_value, rests_on or [path]))


def difference(path: Path, key: str, committed: Any, right: Any, rests_on: Sequence[Path]) -> str:
    """What is to be said of a committed figure: file, key, both values, and the scores that it rests on."""
    if right is ABSENT:
        says = f"{key} is {committed!r}, and no figure of that name is known: nothing could verify it"
    elif committed is ABSENT:
        says = f"{key} is missing; recomputed {right!r}"
    else:
        says = f"{key} is {committed!r}; recomputed {right!r}"
    others = [one for one in rests_on if one != path]
    return f"{path}: {says}\n  rests on {', '.join(map(str, rests_on))}\n  {history(path, *others)}"


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


def history(*paths: Path) -> str:
    """How to find out when the files at `paths` parted; of many the first is enough."""
    return f"`git log -p -- {' '.join(map(str, paths[: len(paths) if len(paths) < 4 else 1]))}` shows when that came"


def numbers(content: Any) -> int:
    """How many numbers `content` of a JSON file holds; a null stands for one that cannot be had."""
    if isinstance(content, Mapping):
        return sum(numbers(value) for value in content.values())
    if isinstance(content, list):
        return sum(numbers(value) for value in content)
    return int(content is None or _is_number(content))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(committed: Any, right: Any, unit: float) -> bool:
    if _is_number(committed) and _is_number(right):
        return committed == right or abs(committed - right) <= unit
    return type(committed) is type(right) and committed == right


def _cell(committed: str, right: str, columns: Sequence[str]) -> tuple[str, str, str]:
    """The first column in which two lines of a scores table differ, and both values; the lines if all are the same."""
    cells = list(zip(columns, committed.split(","), right.split(","), strict=False))
    differs = [(f"{column} of {cells[0][1]}", a, b) for column, a, b in cells if a != b]
    return differs[0] if differs else ("the line", committed, right)
