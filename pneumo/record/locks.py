"""dvc.yaml, dvc.lock and requirements.lock: commands, code and libraries that a run depended on."""

import re
from collections.abc import Mapping
from typing import Any

from pneumo.errors import RecordError
from pneumo.record.parse import read_yaml
from pneumo.record.record import Record

CODE = ("pneumo/", "stages/")  # folders of the code that stages run


def stage_code(record: Record) -> dict[str, list[str]]:
    """Stage, as train@cnn -> files and folders of CODE that it depends on in dvc.lock.

    Without the stages of models that are not candidates: DVC keeps those of backbones that were run before.
    """
    read = {stage: list(deps) for stage, (deps, _) in locked_files(record).items()}
    return {stage: [path for path in paths if path.startswith(CODE)] for stage, paths in read.items()}


def locked_files(record: Record) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Stage -> path and hash of what it read, and of what it wrote, by dvc.lock; stages like `stage_code`."""
    models = {model.name for name in record.candidates for model in record.replicates(name)}
    known = {*record.candidates, *models}
    files: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    try:
        for stage, entry in (record.lock.get("stages") or {}).items():
            name = stage.partition("@")[2]
            read, written = (
                {file["path"]: file.get("md5") for file in entry.get(kind) or []} for kind in ("deps", "outs")
            )
            if not all(isinstance(path, str) for path in (*read, *written)):
                raise TypeError(f"paths of {stage}")
            if not name or name in known:
                files[stage] = (read, written)
    except (AttributeError, KeyError, TypeError) as error:
        where, remedy = record.tree.where("dvc.lock"), record.tree.remedy("dvc.lock")
        raise RecordError(f"{where} was not written by DVC ({error}): {remedy}") from None
    return files


def unexplained(base: Record, head: Record) -> list[str]:
    """Stages whose outputs differ although command, parameters and hashes of all that they read are the same."""
    before, after = locked_files(base), locked_files(head)
    return [
        stage
        for stage, (read, written) in after.items()
        if stage in before and before[stage][0] == read and before[stage][1] != written
        if all(_entry(base, stage).get(key) == _entry(head, stage).get(key) for key in ("cmd", "params"))
    ]


def _entry(record: Record, stage: str) -> dict[str, Any]:
    entry: dict[str, Any] = record.lock["stages"][stage]
    return entry


def pipeline(record: Record) -> dict[str, Any]:
    """dvc.yaml, without what people read and no stage does; empty where an early commit has none."""
    if record.lenient and not record.tree.has("dvc.yaml"):
        return {}
    content = read_yaml(record.tree, "dvc.yaml")
    return {key: value for key, value in content.items() if key not in ("plots", "artifacts")}


def commands(record: Record) -> dict[str, Any]:
    """Stage, as in dvc.yaml -> its command, or a list of them."""
    stages = pipeline(record).get("stages") or {}
    if not isinstance(stages, Mapping) or not all(isinstance(stage, Mapping) for stage in stages.values()):
        where, remedy = record.tree.where("dvc.yaml"), record.tree.remedy("dvc.yaml")
        raise RecordError(f"{where}: expected stages by name: {remedy}")
    inner = {str(name): stage.get("do", stage) for name, stage in stages.items()}
    return {name: stage["cmd"] for name, stage in inner.items() if isinstance(stage, Mapping) and "cmd" in stage}


def library_versions(record: Record) -> dict[str, str]:
    """Package -> version in requirements.lock. A package may have several, for different systems."""
    if record.lenient and not record.tree.has("requirements.lock"):
        return {}
    versions: dict[str, set[str]] = {}
    pinned = re.findall(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", record.tree.text("requirements.lock"), re.MULTILINE)
    for name, version in pinned:
        versions.setdefault(name, set()).add(version)
    return {name: ", ".join(sorted(of_name)) for name, of_name in versions.items()}
