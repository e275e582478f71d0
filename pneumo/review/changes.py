"""What differs between two commits besides the results: parameters, data, code of the stages, libraries."""

import json
import re
from dataclasses import dataclass
from typing import Any

import yaml

from pneumo.errors import ReviewError
from pneumo.review.snapshot import Snapshot
from pneumo.verification.compare import CODE, Row, differences

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
    """Rows of key, base, head. `code` has path, what became of it, and the stages that depend on it."""

    params: list[Row]
    data: list[Row]
    code: list[Row]
    libraries: list[Row]


def changes(base: Snapshot, head: Snapshot) -> Changes:
    """Files that a commit lacks count as empty, so that all of the other one's content is new."""
    return Changes(
        differences(mapping(base, "params.yaml"), mapping(head, "params.yaml")),
        differences(_data(base), _data(head)),
        _code(base, head),
        differences(_versions(base), _versions(head)),
    )


def mapping(snapshot: Snapshot, path: str) -> dict[str, Any]:
    """The mapping in a YAML or JSON file; empty where the commit lacks it. Raises ReviewError where it is broken."""
    if path not in snapshot.files:
        return {}
    text = snapshot.text(path)
    try:
        found = json.loads(text) if path.endswith(".json") else yaml.load(text, yaml.CSafeLoader)  # pure Python: 2 s
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ReviewError(f"{snapshot.where(path)} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise ReviewError(f"{snapshot.where(path)} holds a {type(found).__name__}; expected a mapping")
    return found


def _data(snapshot: Snapshot) -> dict[str, Any]:
    found = mapping(snapshot, "metrics/data.json")
    return {key: found[key] for key in DATA if key in found}


def _code(base: Snapshot, head: Snapshot) -> list[Row]:
    """Files of code that differ, what became of each, and the stages that depend on it: those with stages first."""
    dependents = _dependents(base)
    for path, stages in _dependents(head).items():
        dependents.setdefault(path, []).extend(stage for stage in stages if stage not in dependents[path])
    rows: list[Row] = []
    for path in sorted({*base.code, *head.code}):
        old, new = base.code.get(path), head.code.get(path)
        if old != new:
            stages = [stage for dep, names in dependents.items() if f"{path}/".startswith(f"{dep}/") for stage in names]
            became = "changed" if old and new else "added" if new else "removed"
            rows.append((path, became, list(dict.fromkeys(stages))))
    return sorted(rows, key=lambda row: not row[2])


def _dependents(snapshot: Snapshot) -> dict[str, list[str]]:
    """Package or file of code in dvc.lock -> the stages that depend on it, without the names of models."""
    params, lock = mapping(snapshot, "params.yaml"), mapping(snapshot, "dvc.lock")
    names = {*(params.get("model") or {}), *(params.get("ensembles") or {})}
    dependents: dict[str, list[str]] = {}
    try:
        for stage, entry in (lock.get("stages") or {}).items():
            kind, _, model = stage.partition("@")
            if model and model not in names:
                continue  # the lock keeps the stages of backbones that were run before
            for dep in entry.get("deps") or []:
                if dep["path"].startswith(CODE) and kind not in dependents.setdefault(dep["path"], []):
                    dependents[dep["path"]].append(kind)
    except (AttributeError, KeyError, TypeError) as error:
        raise ReviewError(f"{snapshot.where('dvc.lock')} was not written by DVC: {error}") from None
    return dependents


def _versions(snapshot: Snapshot) -> dict[str, str]:
    """Package -> version in requirements.lock. A package may have several, for different systems."""
    text = snapshot.text("requirements.lock") if "requirements.lock" in snapshot.files else ""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", text, re.MULTILINE):
        found.setdefault(name, []).append(version)
    return {name: ", ".join(sorted(set(versions))) for name, versions in found.items()}
