"""Replacing the raw images: whole or not at all, whatever interrupts it."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(raw: Path, folders: Sequence[str] = ()) -> Iterator[Path]:
    """A new folder with `folders` in it, which replaces `raw` if the body succeeds and vanishes if it fails."""
    staging = raw.with_name(f".{raw.name}.part")
    shutil.rmtree(staging, ignore_errors=True)  # a killed run may have left one
    fresh, old = staging / "new", staging / "old"
    try:
        fresh.mkdir(parents=True)
        for folder in folders:
            (fresh / folder).mkdir(parents=True)
        yield fresh
        if os.path.lexists(raw):
            raw.rename(old)
        fresh.rename(raw)
    finally:
        if os.path.lexists(old) and not os.path.lexists(raw):
            old.rename(raw)
        shutil.rmtree(staging, ignore_errors=True)
