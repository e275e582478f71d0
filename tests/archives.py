"""Zips and folders in the layout of the data set, and what unpacking must leave of `raw`."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from pneumo.errors import SourceError
from pneumo.sources import FOLDERS
from pneumo.sources.archive import unpack

IMAGES = {f"{folder}/{name}": f"{folder} {name}".encode() * 50 for folder in FOLDERS for name in ("a.jpeg", "b.jpeg")}
COUNTS = dict.fromkeys(FOLDERS, 2)


def make_zip(path: Path, members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def make_folder(path: Path, members: Mapping[str, bytes]) -> Path:
    for name, content in members.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path


MAKERS = {"zip": make_zip, "folder": make_folder}


def files(folder: Path) -> dict[str, bytes]:
    """Image files: without the tables beside them."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*/*") if file.is_file()}


def refuse(path: Path, raw: Path, *words: str, **options) -> None:
    """Unpacking fails with a message that has all the words, and leaves nothing beside or in place of raw."""
    before = files(raw)
    with pytest.raises(SourceError) as caught:
        unpack(path, raw, **options)
    for word in words:
        assert word in str(caught.value)
    assert files(raw) == before
    assert not raw.parent.exists() or {entry.name for entry in raw.parent.iterdir()} <= {raw.name}
