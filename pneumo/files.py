"""Writing outputs. DVC may have hard-linked a file to its cache: a new one takes its place, and the old bytes stay."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


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
