"""data/raw by hand: the table of images that a source leaves, and how patients are kept apart."""

from pathlib import Path
from typing import Any

from pneumo.data import listing
from pneumo.params import Split
from pneumo.sources import kermany


def relist(raw: Path) -> list[str]:
    """Write images.csv for the files that are below `raw` now; return their names."""
    names = sorted(path.relative_to(raw).as_posix() for path in raw.glob("*/*/*"))
    listing.write([kermany.identify(name) for name in names], (), raw)
    return names


def split_params(**changes: Any) -> Split:
    values = {"seed": 0, "val_fraction": 0.3, "test_fraction": 0.2, "test_seed": 0, "max_unknown_patients": 0.5}
    return Split(**values | {"leave_out": None} | changes)
