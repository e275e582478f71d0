"""data/raw by hand: the table of images that a source leaves, their shards, and how patients are kept apart."""

from pathlib import Path
from typing import Any

from pneumo import shards
from pneumo.data import listing
from pneumo.data.listing import Listed, Raw
from pneumo.params import Split
from pneumo.shards import Films
from pneumo.sources import kermany, phantom


def relist(raw: Path) -> list[str]:
    """Write images.csv and shards for the files that are below `raw` now, which stay; return their names."""
    names = sorted(path.relative_to(raw).as_posix() for path in raw.glob("*/*/*"))
    listing.write([kermany.identify(name) for name in names], (), raw)
    repack(raw, names)
    return names


def repack(raw: Path, names: list[str]) -> None:
    """Replace the shards in `raw` by those of the files `names` below it, each of a patient of its own."""
    for shard in raw.glob(shards.PATTERN):
        shard.unlink()
    shards.pack([Listed(name, 0, "normal", name, "") for name in names], raw, raw)


def draw(raw: Path, **settings: Any) -> None:
    """`raw` as the source phantom leaves it, with the files beside the shards."""
    phantom.draw(raw, **settings)
    relist(raw)


def contents(raw: Path) -> dict[str, bytes]:
    """Every image in the shards of `raw`, by name."""
    films = Films(Raw(raw))
    return {image.image: films.read(image.image) for image in listing.read(raw) if not image.rejected}


def split_params(**changes: Any) -> Split:
    values = {"seed": 0, "val_fraction": 0.3, "test_fraction": 0.2, "test_seed": 0, "max_unknown_patients": 0.5}
    return Split(**values | {"leave_out": None} | changes)
