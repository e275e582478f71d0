"""Images that a table lists: CSV or Parquet, one row an image, beside a folder of image files.

Every row ends in data/raw/images.csv, as an image or with the reason why it is rejected, or in left_out.csv, where its
label is neither pneumonia nor normal.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pneumo.data import listing, manifest
from pneumo.data.listing import Listed
from pneumo.errors import SourceError, override
from pneumo.sources import local, rows
from pneumo.sources.folder import Folder, link, outside
from pneumo.sources.merging import Entry, merged, refuse_unknown_subtypes
from pneumo.sources.parts import Parts
from pneumo.sources.replacing import replacing
from pneumo.sources.rules import Rules, plain

if TYPE_CHECKING:
    from pneumo.params import Columns, Source

MISSING, OUTSIDE, TAKEN = "no such file below data.path", "outside data.path", "named like a table of data/raw"
NOT_LISTED = "not in the table"
REASONS = 20  # for which rows are left out, each with its count; rarer ones are counted together


def obtain(data: Source, raw: Path, downloads: Path) -> dict[str, int]:
    """Fill `raw` with the images that data.inputs.table, or each of data.tables, lists and data.inputs.images holds.

    An image keeps its path below that folder. Files are linked where the file system allows it.
    """
    path = Path(data.inputs.images)
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise SourceError(f"{path}: expected the folder of the images, found {found}; correct data.path")
    local.refuse_overlap(path, raw)
    try:
        folder = Folder(path)
        images, left_out = _sorted_out(data, folder)
        with replacing(raw) as fresh:
            link((image.image for image in images if not image.rejected), path, fresh)
            listing.write(images, left_out, fresh)
    except OSError as error:
        raise SourceError(f"{path}: {error}; check its permissions and the disk of {raw}") from error
    return listing.counts(image for image in images if not image.rejected)


def _sorted_out(data: Source, folder: Folder) -> tuple[list[Listed], list[tuple[str, str]]]:
    """What goes into images.csv, and names with reasons for left_out.csv."""
    assert data.columns
    by_image: dict[str, list[Entry]] = defaultdict(list)
    for entry in _entries(data, folder):
        by_image[entry.image].append(entry)
    refuse_unknown_subtypes((entry for group in by_image.values() for entry in group), data.columns.subtype)
    images, left_out = [], []
    for name, entries in by_image.items():
        rejected = _why_not(name, folder)
        outcome = merged(name, entries, rejected=rejected, majority=data.duplicates == "majority")
        if isinstance(outcome, Listed):
            images.append(outcome)
        else:
            left_out.append((name, outcome))
    _refuse_none_found(images, folder)
    _refuse_patients_in_two_parts(images)
    left_out = _with_common_reasons(left_out)
    unlisted = _unlisted(folder, by_image, data)
    _say(images, left_out, unlisted, data)
    return images, left_out + [(name, NOT_LISTED) for name in unlisted]


def _why_not(name: str, folder: Folder) -> str:
    """The reason to reject an image of this name, or nothing."""
    if name in (listing.IMAGES, listing.LEFT_OUT):  # which would be written into the original, through the link
        return TAKEN
    if name in folder:
        return ""
    return OUTSIDE if outside(name) else MISSING


def _entries(data: Source, folder: Folder) -> Iterator[Entry]:
    """Each row of the tables. Once all are read, raise SourceError for what the parameters do not cover or meet."""
    assert data.columns
    assert data.labels
    assert data.delimiter
    columns = data.columns
    rules, kept = Rules(data.labels, columns.label), _kept(columns)
    parts = Parts(data, folder)
    image_of = _Taken(columns.image, data.patterns.image if data.patterns else None, "image")
    by_patient = data.patterns.patient if data.patterns else None
    patient_of = _Taken(columns.patient, by_patient, "patient") if columns.patient else None
    wanted = rules.columns | parts.columns | dict.fromkeys(kept.values(), "data.columns.keep")
    wanted |= dict.fromkeys(data.where or {}, "data.where")
    where = {column: frozenset(map(plain, values)) for column, values in (data.where or {}).items()}
    named = {key: getattr(columns, key) for key in ("image", "patient", "subtype", "view")}
    wanted |= {column: f"data.columns.{key}" for key, column in named.items() if column}
    for part, path in _tables(data, folder):
        for row in rows.read(path, wanted, data.delimiter):
            name = _with_suffix(image_of(row), data.suffix)
            label = rules.label(row)
            other = next((column for column, values in where.items() if plain(row[column]) not in values), None)
            yield Entry(
                image=folder.find(name) or name,
                label="neither" if other else label,
                said=_said(rules, row, label, other),
                patient=patient_of(row) if patient_of else None,
                part=part or parts.of(row, name),
                subtype=row[columns.subtype].strip() if columns.subtype else "",
                details={key: row[column].strip() for key, column in kept.items()},
            )
    for check in (image_of, patient_of, parts, rules):
        if check:
            check.refuse_unmet()


def _said(rules: Rules, row: Mapping[str, str], label: str, other: str | None) -> str:
    """The cells for which the row is left out or rejected; `other`: the column by which data.where leaves it out."""
    if other:
        return f"{other} is {row[other].strip()!r}"
    return rules.said(row) if label in ("both", "neither") else ""


class _Taken:
    """What the table says in one column, or the part of it that a pattern of data.patterns takes."""

    def __init__(self, column: str, pattern: str | None, key: str) -> None:
        self._column, self._key = column, key
        self._pattern = re.compile(pattern) if pattern else None
        self._unmet: list[str] = []

    def __call__(self, row: Mapping[str, str]) -> str:
        cell = row[self._column].strip()
        match = self._pattern.search(cell) if self._pattern else None
        if (self._pattern and not match) or (not cell and self._key == "image"):
            self._unmet.append(cell)
        return (match[1] if match.re.groups else match[0]) if match else cell

    def refuse_unmet(self) -> None:
        if self._unmet:
            rule = f"do not match data.patterns.{self._key}" if self._pattern else "are empty"
            raise SourceError(
                f"{len(self._unmet)} cells of the column {self._column!r} {rule}, such as {self._unmet[0]!r}; correct "
                f"the table, data.columns.{self._key} or data.patterns.{self._key}"
            )


def _tables(data: Source, folder: Folder) -> Iterator[tuple[str, Path]]:
    """The official part that all rows are in, or nothing, and the file."""
    if data.tables is None:
        yield "", Path(data.inputs.table)
    for part, name in (data.tables or {}).items():
        yield part, folder.open_name(name, f"data.tables.{part}")


def _kept(columns: Columns) -> dict[str, str]:
    """Column of the manifest -> column of the table."""
    keep = columns.keep if isinstance(columns.keep, dict) else {name: name for name in columns.keep or ()}
    for name in keep:
        if name in (*manifest.COLUMNS, *listing.COLUMNS, "view"):
            raise SourceError(
                f"data.columns.keep: {name!r} is the name of a column of the manifest; give it another one, as in "
                f"{override('data.columns.keep', {f'table_{name}': keep[name]})}"
            )
    return ({"view": columns.view} if columns.view else {}) | keep


def _with_suffix(name: str, suffix: str | None) -> str:
    return name if not suffix or name.endswith(suffix) else name + suffix


def _unlisted(folder: Folder, by_image: Mapping[str, object], data: Source) -> list[str]:
    """Files below data.path that no row names, but for hidden ones and those that parameters name."""
    named = {*(data.tables or {}).values(), *(data.lists or {}).values()}
    table = Path(data.inputs.table)
    return [
        name
        for name in folder.names
        if name not in by_image
        and name not in named
        and not any(part.startswith(".") for part in name.split("/"))
        and folder.path / name != table
    ]


def _refuse_none_found(images: Sequence[Listed], folder: Folder) -> None:
    if not any(not image.rejected for image in images):
        example = f"the first is rejected: {images[0].image!r}: {images[0].rejected}. " if images else ""
        files = f"Files there are called {folder.names[0]!r}" if folder.names else "There are no files"
        raise SourceError(
            f"{folder.path}: expected images of the table below it, found none that can be used; {example}{files}. "
            "Correct data.path, data.columns.image, data.suffix or data.labels"
        )


def _refuse_patients_in_two_parts(images: Sequence[Listed]) -> None:
    """train and val are pooled anyway."""
    sides: dict[str, dict[bool, str]] = defaultdict(dict)
    for image in images:
        if image.source_split and not image.rejected:
            sides[image.patient].setdefault(image.source_split == "test", image.image)
    leaks = {patient: both for patient, both in sides.items() if len(both) > 1}
    if leaks:
        patient, both = next(iter(leaks.items()))
        raise SourceError(
            f"{len(leaks)} patients are in the test part and outside it, such as {patient!r} with {both[True]!r} and "
            f"{both[False]!r}; correct the table, or have the test part drawn (split.test_fraction): "
            "-S data.columns.split=null -S data.splits=null -S data.lists=null"
        )


def _with_common_reasons(left_out: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Multi-label fields have hundreds of combinations: the rare ones share a reason, so that these can be counted."""
    common = Counter(reason for _, reason in left_out).most_common()
    kept = {reason for reason, _ in common[:REASONS]}
    rare = f"one of {len(common) - REASONS} rarer labels"
    return [(name, reason if reason in kept else rare) for name, reason in left_out]


def _say(images: Sequence[Listed], left_out: Iterable[tuple[str, str]], unlisted: Sequence[str], data: Source) -> None:
    assert data.columns
    for reason, count in Counter(reason for _, reason in left_out).most_common():
        print(f"left out: {count} images, {reason}")
    for reason, count in Counter(image.rejected for image in images if image.rejected).most_common():
        example = next(image.image for image in images if image.rejected == reason)
        print(f"rejected: {count} images, {reason}, such as {example!r}")
    if unlisted:
        print(f"left out: {len(unlisted)} files that the table does not list, such as {unlisted[0]!r}")
    if not data.columns.patient:
        print(
            "PATIENTS ARE UNKNOWN: data.columns.patient is null, so every image counts as a patient of its own. If a "
            "person has several images, some may be in train and others in test, and the results too good."
        )
