"""The packed pixels: written once, memory-mapped, fed to the network in batches of uint8."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo.data import manifest
from pneumo.errors import ManifestError

Pixels = NDArray[np.uint8]


class Writer:
    """Appends images of S x S pixels to a .npy file of shape (N, S, S), one at a time, in bounded memory."""

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size, self.count = path, size, 0
        self._file: BinaryIO = path.open("wb")
        self._write_header()

    def append(self, pixels: Pixels) -> None:
        """Add one image, uint8 [S, S]."""
        self._file.write(np.ascontiguousarray(pixels, dtype=np.uint8).tobytes())
        self.count += 1

    def _write_header(self) -> None:
        # NumPy pads the header so that the first axis can grow in place.
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.count, self.size, self.size)}
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(self._file, header)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._write_header()
        self._file.close()


@dataclass(frozen=True)
class Split:
    """Rows of the manifest, of one split or all, and their pixels, which stay on disk until they are asked for."""

    rows: pd.DataFrame
    images: Pixels  # all images, memory-mapped
    where: NDArray[np.intp]  # the row of `images` that belongs to each of `rows`

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> NDArray[np.float32]:
        return self.rows["label"].to_numpy(np.float32)

    def pixels(self, indices: Sequence[int] | slice) -> Pixels:
        """uint8 [n, S, S] of these rows."""
        return self.images[self.where[indices]]


def read_split(processed: Path, split: str) -> Split:
    """One split of `processed`. Raises ManifestError like `read`."""
    whole = read(processed)
    where = np.flatnonzero(whole.rows["split"] == split)
    return Split(whole.rows.iloc[where].reset_index(drop=True), whole.images, where)


def read(processed: Path) -> Split:
    """All images of `processed`. Raises ManifestError if the pixels do not belong to the manifest."""
    rows = manifest.read_manifest(processed / "manifest.csv")
    path = processed / "images.npy"
    if not path.is_file():
        raise ManifestError(f"{path} is missing: run `dvc repro preprocess`")
    images = np.load(path, mmap_mode="r")
    if images.dtype != np.uint8 or images.ndim != 3 or len(images) != len(rows):
        raise ManifestError(
            f"{path} holds {images.dtype} {images.shape}, but manifest.csv {len(rows)} rows: run `dvc repro preprocess`"
        )
    return Split(rows, images, np.arange(len(rows)))
