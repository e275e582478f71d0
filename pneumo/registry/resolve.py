"""From the text after --model to a folder on this machine."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from pneumo.errors import RegistryError
from pneumo.registry import cache, git
from pneumo.registry.wanted import Wanted, parse


@dataclass(frozen=True)
class Resolved:
    """A model's folder. origin: its name, version, commit and repository; None for a folder that was named itself."""

    folder: Path
    origin: str | None = None


def resolve(text: str) -> Resolved:
    """A folder, or a model of a registry: NAME@STAGE, NAME@VERSION or NAME (its newest version) of the repository that
    the current folder is in, GIT-URL#STAGE, GIT-URL#VERSION, GIT-URL#NAME@STAGE and so on of any. What exists as a
    folder or file is taken for that.

    What is fetched is kept in `cache.folder()`, and used again. Tags of a repository on this machine are read each
    time; so are those of others, but for an exact version or commit that is kept. Raises RegistryError, MissingExtra.
    """
    wanted = None if os.path.lexists(text) else parse(text)
    if wanted is None:
        return Resolved(Path(text))
    if wanted.repository is None:
        return _here(wanted)
    path = Path(os.path.expanduser(wanted.repository))  # noqa: PTH111  # takes any text
    top = git.work_tree(path)
    if top and top == path.resolve():
        return _found(top, wanted, str(top))
    return _elsewhere(wanted, str(path.resolve()) if os.path.exists(path) else wanted.repository)  # noqa: PTH110


def _here(wanted: Wanted) -> Resolved:
    top = git.work_tree(Path.cwd())
    if top is None:
        which = f"@{wanted.which}" if wanted.which else ""
        raise RegistryError(
            f"there is no folder {wanted.text} here, and {Path.cwd()} is not in a git repository whose tags could name "
            f"it. Name the folder of an exported model, or the repository: GIT-URL#{wanted.name}{which or '@VERSION'}"
        )
    return _found(top, wanted, "this repository")


def _elsewhere(wanted: Wanted, url: str) -> Resolved:
    from pneumo.registry import tags

    where, kept = git.shown(url), git.mirror(url)
    if wanted.is_exact and kept.is_dir():
        try:
            version = tags.find(kept, wanted, where)
        except RegistryError:  # it may be newer than the copy
            version = None
        if version and (folder := cache.find(version.commit, version.name)):
            return Resolved(folder, f"{replace(version, stages={})} of {where}, from {cache.folder()}")
    try:
        root = git.update(url)
    except RegistryError as error:
        raise RegistryError(f"{error}{_offline(kept, wanted, where)}") from None
    return _found(root, wanted, where, url=where)


def _found(root: Path, wanted: Wanted, where: str, *, url: str | None = None) -> Resolved:
    from pneumo.registry import tags

    version = tags.find(root, wanted, where)
    folder = cache.find(version.commit, version.name)
    if folder is None:
        from pneumo.registry import download

        with download.artifact(root, version, url=url) as artifact:
            folder = cache.add(version.commit, version.name, artifact.md5, fetch=artifact.fetch, check=artifact.check)
    return Resolved(folder, f"{version} of {where}")


def _offline(kept: Path, wanted: Wanted, where: str) -> str:
    """What can be used without the repository."""
    from pneumo.registry import tags

    names = tags.cached(kept, cache.entries(), where) if kept.is_dir() else []
    if not names:
        return ""
    moves = "a stage may have moved since" if not wanted.is_exact else "that version is not on this machine"
    return f". Without it, {moves}; these versions are here: {', '.join(names)}"
