"""dvc.lock and requirements.lock: the code and the libraries that a run depended on."""

import re

from pneumo.errors import RecordError
from pneumo.record.record import Record

CODE = ("pneumo/", "stages/")  # folders of the code that stages run


def stage_code(record: Record) -> dict[str, list[str]]:
    """Stage, as train@cnn -> files and folders of CODE that it depends on in dvc.lock.

    Without the stages of models that are not candidates: DVC keeps those of backbones that were run before.
    """
    candidates = record.candidates
    code: dict[str, list[str]] = {}
    try:
        for stage, entry in (record.lock.get("stages") or {}).items():
            name = stage.partition("@")[2]
            paths = [dep["path"] for dep in entry.get("deps") or []]
            if not name or name in candidates:
                code[stage] = [path for path in paths if path.startswith(CODE)]
    except (AttributeError, KeyError, TypeError) as error:
        where, remedy = record.tree.where("dvc.lock"), record.tree.remedy("dvc.lock")
        raise RecordError(f"{where} was not written by DVC ({error}): {remedy}") from None
    return code


def library_versions(record: Record) -> dict[str, str]:
    """Package -> version in requirements.lock. A package may have several, for different systems."""
    if record.lenient and not record.tree.has("requirements.lock"):
        return {}
    versions: dict[str, set[str]] = {}
    pinned = re.findall(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", record.tree.text("requirements.lock"), re.MULTILINE)
    for name, version in pinned:
        versions.setdefault(name, set()).add(version)
    return {name: ", ".join(sorted(of_name)) for name, of_name in versions.items()}
