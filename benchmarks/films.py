"""The films that scripts of this folder send to a model."""

import sys
from pathlib import Path

UNPACKED = "default: %(default)s, by python -m zipfile -e data/raw/images.zip films"


def below(folder: Path) -> list[Path]:
    """Sorted; the script ends where there are none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix in (".jpeg", ".png", ".dcm"))
    if not found:
        sys.exit(f"{folder} has no films: name a folder that has, or unpack those of the pipeline, as --help says")
    return found
