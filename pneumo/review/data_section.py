"""The images that differ between two commits, in Markdown."""

from pneumo.data.manifest import SPLITS
from pneumo.report import markdown as md
from pneumo.review.cells import cell, code, prose
from pneumo.review.data_diff import DataDiff, Image
from pneumo.review.sections import folded, rest

KINDS = {
    "added": "added",
    "removed": "removed",
    "relabelled": "relabelled",
    "moved": "moved between splits",
    "changed": "changed in content",
    "regrouped": "given to another patient",
}


def images(differ: DataDiff | str | None, listed: int) -> list[str]:
    """`differ`: or why it cannot be said."""
    if differ is None:
        return []
    if isinstance(differ, str):
        return ["### Data: which images differ cannot be said", "", prose(differ), ""]
    lists = {words: rows for kind, words in KINDS.items() if (rows := getattr(differ, kind))}
    lines = [f"### Data: {_counted(lists)}", ""]
    if lists:
        lines += [*md.table(["images", *SPLITS, "normal", "pneumonia", "all"], _counts(lists)), ""]
        lines += ["Images moved, relabelled or changed are counted as they are in head.", ""]
    lines += _columns(differ.columns, listed)
    for words, rows in lists.items():
        shown = [_row(row) for row in rows[:listed]]
        table = md.table(["image", "split", "truth", "patient"], shown)
        lines += folded(f"{_images(len(rows))} {words}", [*table, *rest(rows, listed)])
    return lines


def _counted(lists: dict[str, list[Image]]) -> str:
    """As in: 50 images added, 2 relabelled."""
    counts = [f"{len(rows):,} {words}" for words, rows in lists.items()]
    if not counts:
        return "the same images, labels and splits"
    (words, rows), *_ = lists.items()
    return ", ".join([f"{_images(len(rows))} {words}", *counts[1:]])


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def _counts(lists: dict[str, list[Image]]) -> list[list[str]]:
    rows = []
    for words, differ in lists.items():
        last = [image.entries[-1] for image in differ]
        of_split = [sum(entry.split == split for entry in last) for split in SPLITS]
        normal = sum(entry.truth == "normal" for entry in last)
        rows.append([words, *(f"{n:,}" for n in (*of_split, normal, len(last) - normal, len(last)))])
    return rows


def _columns(columns: dict[str, int], listed: int) -> list[str]:
    if not columns:
        return []
    said = [
        f"{code(name)} ({'in one commit alone' if count < 0 else _images(count)})"
        for name, count in list(columns.items())[:listed]
    ]
    more = [f"{len(columns) - listed} more"] if len(columns) > listed else []
    return [f"Other columns of the manifest that differ: {', '.join([*said, *more])}.", ""]


def _row(image: Image) -> list[str]:
    fields = ("split", "truth", "patient")
    values = [list(dict.fromkeys(getattr(entry, name) for entry in image.entries)) for name in fields]
    return [code(image.image), *(cell(" → ".join(of_field)) for of_field in values)]
