"""What the guard of an exported model flags: `python -m benchmarks.guard [PROCESSED] [--of NAME=FOLDER ...]`.

The guard is fitted on the training images of PROCESSED (default data/processed), its limit on the validation images, as
stage export does. Then the share that it flags of all that stage guard tries it on, and of the images of each FOLDER,
DICOM of any kind included.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumo.data import packed
from pneumo.errors import ImageRejected
from pneumo.evaluation import flagged
from pneumo.export import guard, unlike


def main() -> None:
    parser = argparse.ArgumentParser(description="Shares that the guard flags.")
    parser.add_argument("processed", nargs="?", type=Path, default=Path("data/processed"), metavar="PROCESSED")
    parser.add_argument("--of", action="append", default=[], metavar="NAME=FOLDER", help="more images to try")
    arguments = parser.parse_args()
    train, val = (
        np.asarray(packed.read_split(arguments.processed, split).pixels(slice(None))) for split in ("train", "val")
    )
    fitted = guard.fit(train, val)
    size = train.shape[-1]
    tried = {flagged.GROUPS[group]: pixels for group, _, pixels in unlike.groups(arguments.processed)}
    for named in arguments.of:
        name, _, folder = named.partition("=")
        tried[name] = np.stack(
            [pixels for path in sorted(Path(folder).rglob("*")) if (pixels := _read(path, size)) is not None]
        )
    for name, pixels in tried.items():
        beyond = fitted.guard.distances(pixels) > fitted.limit
        print(f"{name:<62} {beyond.mean():7.1%} of {len(pixels):,}")


def _read(path: Path, size: int) -> NDArray[np.uint8] | None:
    """None for what is no image."""
    try:
        return unlike.read_any(path, size) if path.is_file() else None
    except (ImageRejected, AttributeError, NotImplementedError, ValueError):
        return None


if __name__ == "__main__":
    main()
