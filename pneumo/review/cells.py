"""Numbers and names as a review shows them, in cells of a table, in code and in sentences: they start no HTML."""

import json
from collections.abc import Mapping
from typing import Any

from pneumo.review.comparison import Row

WIDTH = 120  # characters of a cell
NAMED = 3  # items of a list


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6f}"


def signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.6f}" if value else f"{0:.6f}"


def interval(row: Row) -> str:
    return f"[{signed(row.interval[0])}, {signed(row.interval[1])}]" if row.interval else "-"


def p_value(value: float | None) -> str:
    return "" if value is None else "<0.0001" if value < 0.0001 else f"{value:.4f}"


def code(text: str) -> str:
    return f"`{_short(text).replace('`', '').replace('|', chr(92) + '|')}`"


def cell(text: str) -> str:
    """`text` so that it stays in its cell and starts no HTML."""
    return _short(text).replace("|", "\\|").replace("<", "&lt;")


def prose(text: str) -> str:
    """A sentence that may hold names in `code`; with names from the data it still starts no HTML and no new line."""
    pieces = " ".join(text.split()).split("`")
    return "`".join(piece if place % 2 else piece.replace("<", "&lt;") for place, piece in enumerate(pieces))


def _short(text: str) -> str:
    one_line = " ".join(str(text).split())
    return one_line if len(one_line) <= WIDTH else f"{one_line[: WIDTH - 1]}…"


def value_of(value: Any) -> str:
    """A value of a parameter, of metrics/data.json or of a library, as code, so that it means nothing to Markdown."""
    if isinstance(value, Mapping):
        return f"{len(value)} values"
    if isinstance(value, list) and len(value) > NAMED:
        return f"{value_of(value[:NAMED])} and {len(value) - NAMED} more"
    text = ", ".join(map(str, value)) if isinstance(value, list) else value if isinstance(value, str) else _json(value)
    return code(text[:10] if len(text) == 64 and text.isalnum() else text) if text else "-"


def _json(value: Any) -> str:
    return json.dumps(value, default=str)
