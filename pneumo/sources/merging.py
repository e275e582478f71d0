"""All rows of one image -> one row of images.csv, or why it is left out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pneumo.data.listing import ALONE, UNKNOWN, Listed
from pneumo.errors import SourceError, override
from pneumo.sources.rules import Label

PNEUMONIAS = ("bacterial", "viral", "unknown")  # subtypes of the manifest; empty is unknown
_LABELS: Mapping[Label, int] = {"normal": 0, "pneumonia": 1}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. `said`: the cells that decided, where it is not used; `patient`: None in a table without patients."""

    image: str
    label: Label
    said: str
    patient: str | None
    part: str
    subtype: str
    details: Mapping[str, str]


def merged(image: str, entries: Sequence[Entry], *, rejected: str, majority: bool) -> Listed | str:
    """The image that `entries` describe, or the reason why it is left out.

    rejected: a reason that is known already, or nothing. Rows that agree are one; where labels differ, the image is
    rejected, or with `majority` gets the label of more than half of the rows, if there is one.
    """
    counts = Counter(entry.label for entry in entries)
    label, count = counts.most_common(1)[0]
    if majority and 2 * count <= len(entries):
        return f"no majority among its {len(entries)} rows"
    if label == "neither" and (majority or len(counts) == 1):
        return entries[0].said if len(counts) == 1 else f"neither label in most of its {len(entries)} rows"
    if len(counts) > 1 and not majority:
        rejected = rejected or f"listed {len(entries)} times, with different labels"
    if label == "both":
        rejected = rejected or f"data.labels.pneumonia and data.labels.normal both match: {_first(entries, label).said}"
    for what in ("patient", "part"):
        if len({getattr(entry, what) for entry in entries}) > 1:
            rejected = rejected or f"listed {len(entries)} times, with a different {what}"
    first = _first(entries, label)
    return Listed(
        image=image,
        label=_LABELS.get(label, 0),
        subtype=_subtype(entries, label),
        patient=_patient(image, first.patient),
        source_split=first.part,
        rejected=rejected,
        details={key: _joined(entry.details[key] for entry in entries) for key in first.details},
    )


def refuse_unknown_subtypes(entries: Iterable[Entry], column: str | None) -> None:
    """Raise SourceError for pneumonias of a subtype that the manifest does not have. column: data.columns.subtype."""
    odd = Counter(
        entry.subtype for entry in entries if entry.label == "pneumonia" and entry.subtype not in ("", *PNEUMONIAS)
    )
    if odd:
        assert column  # without it no row has a subtype
        values = ", ".join(f"{value!r} ({count})" for value, count in odd.items())
        raise SourceError(
            f"data.columns.subtype: pneumonias have {values} in the column {column!r}; expected "
            f"{', '.join(PNEUMONIAS)} or nothing. Correct the table, or keep the column under another name: "
            f"-S data.columns.subtype=null {override('data.columns.keep', {'cause': column})}"
        )


def _first(entries: Sequence[Entry], label: Label) -> Entry:
    return next(entry for entry in entries if entry.label == label)


def _subtype(entries: Sequence[Entry], label: Label) -> str:
    subtypes = {entry.subtype for entry in entries if entry.label == label}
    if label != "pneumonia":
        return "normal"
    return subtypes.pop() or "unknown" if len(subtypes) == 1 else "unknown"


def _patient(image: str, given: str | None) -> str:
    """`given`: None in a table without patients, empty where this row has none."""
    if given is None:
        return ALONE + image
    return given or UNKNOWN + hashlib.sha256(image.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _joined(values: Iterable[str]) -> str:
    return "|".join(dict.fromkeys(values))
