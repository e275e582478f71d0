"""Writing outputs, and hashes of files. DVC may have hard-linked a file to its cache: a new one takes its place."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def fresh(path: Path) -> Path:
    """`path` with its folder made and without the file that was there, to be written anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return path


def write_text(path: Path, text: str) -> None:
    """UTF-8 with Unix line ends."""
    fresh(path).write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """JSON, indented, keys in the order given."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def sha256(path: Path) -> str:
    """Of the file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_lfs_pointer(path: Path) -> bool:
    """Whether Git LFS has left its pointer in place of the file, as a clone without `git lfs pull` has."""
    with path.open("rb") as file:
        return file.read(len(_LFS_POINTER)) == _LFS_POINTER
