"""Replacing the raw images: whole or not at all, whatever interrupts it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pneumo.sources import FOLDERS


@contextmanager
def replacing(raw: Path) -> Iterator[Path]:
    """A new folder with FOLDERS in it, which replaces `raw` if the body succeeds and vanishes if it fails."""
    staging = raw.with_name(f".{raw.name}.part")
    shutil.rmtree(staging, ignore_errors=True)  # a killed run may have left one
    fresh, old = staging / "new", staging / "old"
    try:
        for folder in FOLDERS:
            (fresh / folder).mkdir(parents=True)
        yield fresh
        if os.path.lexists(raw):
            raw.rename(old)
        fresh.rename(raw)
    finally:
        if os.path.lexists(old) and not os.path.lexists(raw):
            old.rename(raw)
        shutil.rmtree(staging, ignore_errors=True)
