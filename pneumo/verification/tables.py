"""The marked tables of README.md, docs/ and results/README.md: compared with metrics/ and scores/, or written anew."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from pneumo.errors import VerifyError
from pneumo.verification.markers import Block, blocks
from pneumo.verification.rendering import render

FIGURES = re.compile(r"^\s*\|.*\d\.\d\d")


def pages(top: Path) -> list[Path]:
    """The pages below `top` that may have marked tables."""
    candidates = (top / "README.md", *sorted((top / "docs").glob("*.md")), top / "results/README.md")
    return [page for page in candidates if page.is_file()]


def check(page: Path, top: Path, verified: Sequence[str], *, others: bool) -> tuple[int, int]:
    """How many tables and cells of `page` are what the metrics say.

    `verified`: folders whose metrics are verified. A table of another folder is skipped with `others`, else an error.
    Raises VerifyError with the first line that differs.
    """
    tables = cells = 0
    for block in blocks(page):
        unverified = [folder for folder in block.spec.folders if folder not in verified]
        if unverified and others:
            continue
        if unverified:
            raise VerifyError(
                f"{page}, line {block.line}: the table shows {unverified[0]}, which is not among the verified folders: "
                f"{', '.join(verified)}"
            )
        tables, cells = tables + 1, cells + _check(block, page, top)
    return tables, cells


def _check(block: Block, page: Path, top: Path) -> int:
    """Returns how many cells the table has. Raises VerifyError unless it shows what the metrics say."""
    expected = render(block.spec, page, top, f"{page}, line {block.line}")
    for place in range(max(len(expected), len(block.content))):
        actual, should = (lines[place] if place < len(lines) else "" for lines in (block.content, expected))
        if actual != should:
            raise VerifyError(
                f"{page}, line {block.line + 1 + place}: the table differs from the metrics of "
                f"{', '.join(block.spec.folders)}\n  is:     {actual}\n  should: {should}\n"
                "  If the metrics are right, `pneumo tables` rewrites all tables."
            )
    return sum(line.count("|") - 1 for line in expected[2:])


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
