"""Numbers and names as a review shows them, in cells of a table, in code and in sentences.

Names and values come from a pull request, so they must start no HTML and no Markdown, notify nobody, load nothing, and
neither colour a terminal nor turn the direction of writing. As code, text does none of this.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pneumo.review.rows import Row

WIDTH = 120  # characters of a cell
SENTENCES = 1000  # characters of a reason or note
HARMLESS = re.compile(r"(?!.*www\.)[\w .,/()+→-]*")  # in a cell
MARKUP = re.compile(r"\S*(?:[@<>*#|~&\\]|!\[|\]\(|://|www\.)\S*")  # in a sentence
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
    """`text` as code in a cell of a table."""
    return f"`{_short(text, WIDTH).replace('`', '').replace('|', chr(92) + '|')}`"


def cell(text: str) -> str:
    """`text` in a cell of a table; as code where it might mean something to Markdown."""
    short = _short(text, WIDTH)
    return short if HARMLESS.fullmatch(short) else code(short)


def prose(text: str) -> str:
    """A sentence that may hold names in `code`. Whatever else might mean something to Markdown becomes code, too."""
    short = _short(text, SENTENCES)
    if short.count("`") % 2:  # a name with a backtick, or one that was cut
        short = short.replace("`", "")
    pieces = short.split("`")
    return "`".join(piece if place % 2 else MARKUP.sub(r"`\g<0>`", piece) for place, piece in enumerate(pieces))


def fenced(lines: Sequence[str]) -> list[str]:
    """Output of a program as a block of code, which nothing in it can close."""
    shown = [printable(line) for line in lines]
    fence = "`" * max(3, 1 + max((len(run) for line in shown for run in re.findall("`+", line)), default=0))
    return [f"{fence}text", *shown, fence]


def printable(text: str) -> str:
    """`text` with � for control characters, as of terminals, and for those that turn the direction of writing."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _short(text: str, width: int) -> str:
    one_line = printable(" ".join(str(text).split()))
    return one_line if len(one_line) <= width else f"{one_line[: width - 1]}…"


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
