"""Which commit a stage or version means, by GTO's tags."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pneumo.errors import MissingExtra, RegistryError
from pneumo.registry.git import MISSING
from pneumo.registry.wanted import Wanted


@dataclass(frozen=True)
class Version:
    """A registered version of the artifact `name`. stages: those that are at it now, with the time of assignment."""

    name: str
    version: str
    commit: str
    stages: Mapping[str, datetime]

    def __str__(self) -> str:
        stages = (f"{stage} since {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" for stage, at in self.stages.items())
        also = f" ({', '.join(stages)})" if self.stages else ""
        return f"{self.name} {self.version}{also}, commit {self.commit[:10]}"


def find(root: Path, wanted: Wanted, where: str) -> Version:
    """The version that `wanted` means in the repository whose tags are in `root`. Raises RegistryError.

    As `gto show` has it: the version that was assigned to a stage last is in it, and what was withdrawn is not there.
    """
    name, which = _name(_shown(root, where), wanted, where)
    rows = _shown(root, where, name)
    return _chosen(rows, replace(wanted, name=name, which=which), where)


def cached(root: Path, names: Iterable[tuple[str, str]], where: str) -> list[str]:
    """Of a copy of the tags of `where` the versions whose commit and name are among `names`."""
    wanted = set(names)
    return [
        f"{name}@{row['version']}"
        for name in _shown(root, where)
        for row in _shown(root, where, name)
        if (row["commit_hexsha"], name) in wanted and row["is_active"]
    ]


def _shown(root: Path, where: str, name: str | None = None) -> Any:
    """What `gto show` knows of the artifacts, or of the versions of one, with those that are withdrawn."""
    try:
        import gto.api as gto
    except ImportError:
        raise MissingExtra(MISSING) from None
    try:
        return gto.show(root, name, deprecated=True)
    except Exception as error:  # GTO's, scmrepo's, pydantic's
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise RegistryError(
            f"GTO cannot read the tags of {where} ({reason}). Run `gto show` there for details"
        ) from None


def _name(artifacts: Mapping[str, Any], wanted: Wanted, where: str) -> tuple[str, str | None]:
    """The artifact, and what of it."""
    active = sorted(name for name, about in artifacts.items() if about["active"])
    if not active:
        raise RegistryError(
            f"{_of(wanted)}{where} has no registered model. Register one: `gto register NAME`, and `git push --tags`"
        )
    if wanted.name is None:
        if wanted.which in active:
            return wanted.which, None
        if len(active) > 1:
            raise RegistryError(
                f"{where} has several models: {', '.join(active)}. Name one: '{wanted.repository}#NAME@{wanted.which}'"
            )
        return active[0], wanted.which
    if wanted.name not in active:
        deprecated = "; it is deprecated there" if wanted.name in artifacts else ""
        raise RegistryError(
            f"{_of(wanted)}{where} has no registered model {wanted.name}{deprecated}; it has {', '.join(active)}"
        )
    return wanted.name, wanted.which


def _of(wanted: Wanted) -> str:
    return "" if wanted.repository else f"there is no folder {wanted.text} here, and "


def _chosen(rows: Sequence[Mapping[str, Any]], wanted: Wanted, where: str) -> Version:
    """rows: the versions as GTO shows them, newest first, and those that were withdrawn."""
    name, which = wanted.name or "", wanted.which
    active = [row for row in rows if row["is_active"]]
    for row in active:
        stages = {stage["stage"]: stage["created_at"] for stage in row["stages"]}
        names = (row["version"], *stages) if which else ()
        by_commit = wanted.is_exact and which and row["commit_hexsha"].startswith(which)
        if which in names or by_commit or (which is None and row["registrations"]):
            return Version(name, row["version"], row["commit_hexsha"], stages)
    versions = [row["version"] for row in active]
    stages_there = sorted({stage["stage"] for row in active for stage in row["stages"]})
    has = f"It has {_listed('version', versions)} and {_listed('stage', stages_there)}"
    if which is None:
        raise RegistryError(f"{name} has no registered version in {where}. {has}")
    if any(row["version"] == which for row in rows):
        raise RegistryError(f"version {which} of {name} has been withdrawn in {where}. {has}")
    remedy = "" if wanted.repository else "; `git fetch --tags` brings what is new elsewhere"
    raise RegistryError(f"{name} has no stage or version {which} in {where}. {has}{remedy}")


def _listed(kind: str, names: list[str]) -> str:
    return f"{kind}s {', '.join(names)}" if len(names) > 1 else f"{kind} {names[0]}" if names else f"no {kind}"
