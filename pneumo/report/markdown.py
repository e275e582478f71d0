"""Numbers, words and tables as people read them, in Markdown and in HTML alike."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WEIGHTS = {"none": "from scratch", "imagenet": "ImageNet"}
CLASSES = ("normal", "pneumonia")  # by label
SPLITS = {"train": "training", "val": "validation", "test": "test"}


def number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:+.{digits}f}"


def percent(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def interval(bounds: Sequence[float | None] | None, digits: int = 3) -> str:
    """`[low, high]`, or nothing where there is none."""
    if not bounds or None in bounds:
        return ""
    return f"[{number(bounds[0], digits)}, {number(bounds[1], digits)}]"


def with_interval(value: float | None, bounds: Sequence[float | None] | None) -> str:
    return f"{number(value)} {interval(bounds)}".strip()


def weights(metrics: Mapping[str, Any]) -> str:
    """Starting weights of a model, from its metrics; null stands for members that started differently."""
    return WEIGHTS.get(metrics["weights"], Path(metrics["weights"]).name) if metrics["weights"] else "mixed"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, padded so that it reads well in a terminal too."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    first, *others = widths
    ruler = ["-" * first, *("-" * (width - 1) + ":" for width in others)]
    lines = []
    for row in (header, ruler, *rows):
        cells = [row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], others, strict=True))]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
