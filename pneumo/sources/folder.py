"""The files of a folder, found by the names that a table has for them, and brought into data/raw without a copy."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from pneumo.errors import SourceError
from pneumo.sources import local


class Folder:
    """Regular files below `path`: only these are ever read. Raises SourceError for a link or device among them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        start = len(str(path)) + 1
        self.names = [str(file)[start:] for file in local.regular_files(path)]
        self._all = frozenset(self.names)
        # Names from macOS may have their accents apart.
        self._spelled: dict[str, list[str]] = defaultdict(list)
        self._based: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            self._spelled[_composed(name)].append(name)
            self._based[_composed(name.rpartition("/")[2])].append(name)

    def __contains__(self, name: str) -> bool:
        return name in self._all

    def find(self, name: str) -> str | None:
        """The path below this folder of the file that a table calls `name`: a path, or the last part of one.

        None if there is none. Raises SourceError if there are several.
        """
        key = _composed(str(PurePosixPath(name))) if name else name
        files = self._spelled.get(key) or ([] if "/" in key else self._based.get(key, []))
        if len(files) > 1:
            raise SourceError(
                f"{self.path}: {name!r} may be {files[0]!r} or {files[1]!r}; write the path below data.path into the "
                "table, or remove one"
            )
        return files[0] if files else None

    def open_name(self, name: str, key: str) -> Path:
        """The file that the parameter `key` calls `name`, a path below this folder."""
        files = self._spelled.get(_composed(name))
        if not files:
            raise SourceError(f"{self.path}: expected the file {name!r} of {key} below it, found none; correct {key}")
        return self.path / files[0]


def outside(name: str) -> bool:
    """Whether `name` would lead out of the folder that it is relative to."""
    return name.startswith("/") or ".." in name.split("/") or "\0" in name


def link(names: Iterable[str], source: Path, target: Path) -> None:
    """Below `target`, the files `names` of `source`: as reflinks, else hard links, else copies."""
    from dvc_objects.fs.system import reflink  # what DVC itself does with its cache

    can_reflink = True
    for name in names:
        original, film = source / name, target / name
        film.parent.mkdir(parents=True, exist_ok=True)
        if can_reflink:
            try:
                reflink(original, film)
                continue
            except OSError:  # of the file system, not of this file
                can_reflink = False
                film.unlink(missing_ok=True)
        try:
            os.link(original, film, follow_symlinks=False)
        except OSError:
            shutil.copyfile(original, film, follow_symlinks=False)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
