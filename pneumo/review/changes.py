"""What differs between two commits besides the results: parameters, data, pipeline, code, libraries."""

from dataclasses import dataclass
from typing import Any

from pneumo.record.locks import commands, library_versions, pipeline, stage_code, unexplained
from pneumo.record.record import Record
from pneumo.review.snapshot import Snapshot
from pneumo.verification.compare import Row, differences

DATA = (
    "source",
    "subset",
    "received",
    "excluded",
    "rejected",
    "images",
    "patients",
    "splits",
    "exact_duplicates",
    "manifest_sha256",
    "parts_sha256",
)


@dataclass(frozen=True)
class Changes:
    """Rows of key, base, head. `code` has path, what became of it, and the stages that depend on it. `commands`: those
    of `pipeline`, by stage. `unexplained`: stages whose outputs differ although all that they read is the same.
    """

    params: list[Row]
    data: list[Row]
    pipeline: list[Row]
    commands: list[Row]
    code: list[Row]
    libraries: list[Row]
    unexplained: list[str]


def changes(base: Snapshot, head: Snapshot) -> Changes:
    """Raises RecordError where a file of either is broken."""
    return Changes(
        differences(base.record.params, head.record.params),
        differences(_data(base.record), _data(head.record)),
        differences(pipeline(base.record), pipeline(head.record)),
        differences(commands(base.record), commands(head.record)),
        _code(base, head),
        differences(library_versions(base.record), library_versions(head.record)),
        unexplained(base.record, head.record),
    )


def _data(record: Record) -> dict[str, Any]:
    return {key: record.data[key] for key in DATA if key in record.data}


def _code(base: Snapshot, head: Snapshot) -> list[Row]:
    """Files of code that differ, what became of each, and the stages that depend on it: those with stages first."""
    dependents: dict[str, dict[str, None]] = {}  # file or folder -> stages, without the names of models
    for snapshot in (base, head):
        for stage, paths in stage_code(snapshot.record).items():
            for path in paths:
                dependents.setdefault(path, {})[stage.partition("@")[0]] = None
    rows: list[Row] = []
    for path in sorted({*base.code, *head.code}):
        before, after = base.code.get(path), head.code.get(path)
        if before != after:
            stages = [stage for dep, of in dependents.items() if f"{path}/".startswith(f"{dep}/") for stage in of]
            became = "changed" if before and after else "added" if after else "removed"
            rows.append((path, became, sorted(set(stages))))
    return sorted(rows, key=lambda row: not row[2])
