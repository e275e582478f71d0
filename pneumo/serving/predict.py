"""Image files -> predictions, one after the other, in memory that does not grow with their number."""

import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pneumo.errors import ImageRejected, MissingExtra
from pneumo.preprocessing import dicom, images, views
from pneumo.serving import guard
from pneumo.serving.model import Model

SUFFIXES = (".jpg", ".jpeg", ".png", ".dcm", ".dicom")  # taken from folders; a file that is named is always tried
BATCH, AHEAD = 8, 16  # images that go through the network together, and that are decoded before they can


@dataclass(frozen=True)
class Prediction:
    """Of one image: the calibrated probability of pneumonia and the decision, or `error`, why there is none.

    warnings: what speaks against trusting it. heatmap: the picture of where the evidence lies, where one was asked for.
    """

    image: str
    probability: float | None = None
    decision: str | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None
    heatmap: str | None = None


class Heatmaps(Protocol):
    """Where heat maps go, such as heatmap.Folder."""

    def write(self, image: str, pixels: NDArray[np.uint8], heat: NDArray[np.float32]) -> object:
        """Of the image of that name, uint8 [S, S] and [S, S] in [0, 1]; returns what stands for its picture."""


@dataclass(frozen=True)
class Read:
    """What was read of an image: packed pixels, uint8 [S, S], with what its header speaks against, or `error`."""

    image: str
    pixels: NDArray[np.uint8] | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None


def listed(named: Iterable[str], lines: Iterable[str] = ()) -> Iterator[Path]:
    """Every image of files and folders, which are searched for SUFFIXES at any depth, in the order of their names.

    `-` among them stands for the `lines`. A file that is not there comes out as it is, and so does a folder that has no
    images or cannot be searched, so that whoever reads it can say so in its place.
    """
    for name in named:
        if name == "-":
            for line in lines:
                if line.strip():
                    yield from _files(line.rstrip("\r\n"))
        else:
            yield from _files(name)


def predictions(model: Model, paths: Iterable[Path], heatmaps: Heatmaps | None = None) -> Iterator[Prediction]:
    """The prediction of each of `paths`, in their order. What cannot be read has an error in its place.

    heatmaps: where the heat map of each goes. Raises ServingError where one cannot be written, and BundleError where
    the model gives none.
    """
    waiting: list[Read] = []
    for image in _decoded(model, paths):
        waiting.append(image)
        if len(waiting) == BATCH:
            yield from predicted(model, waiting, heatmaps)
            waiting = []
    yield from predicted(model, waiting, heatmaps)


def read(model: Model, image: str, source: Path | bytes) -> Read:
    """A file, or the bytes of one, by the code that packed the training images. `image`: its name."""
    size, fit = model.contract.image_size, model.contract.fit
    try:
        if isinstance(source, Path):
            _refuse_other_than_file(source)
            radiograph = images.read_image(source, size, fit=fit)
        else:
            radiograph = images.decode(source, size, fit=fit)
        return Read(image, radiograph.pixels, _warnings(model, source))
    except (ImageRejected, MissingExtra) as error:
        return Read(image, error=str(error))
    except OSError as error:
        return Read(image, error=error.strerror or type(error).__name__)


def predicted(model: Model, batch: Sequence[Read], heatmaps: Heatmaps | None = None) -> Iterator[Prediction]:
    """The prediction of each of `batch`, whose images go through the network together. `heatmaps`: as above."""
    readable = [image.pixels for image in batch if image.pixels is not None]
    found = _outputs(model, np.stack(readable), heats=heatmaps is not None) if readable else iter(())
    for image in batch:
        if image.pixels is None:
            yield Prediction(image.image, error=image.error)
            continue
        probability, unlike, heat = next(found)
        picture = None
        if heatmaps is not None and heat is not None:
            picture = str(heatmaps.write(image.image, image.pixels, heat))
        warnings = (*model.warnings, *((guard.WARNING,) if unlike else ()), *image.warnings)
        decision = model.decision(probability)
        yield Prediction(image.image, float(probability), decision, warnings, heatmap=picture)


def _files(name: str) -> Iterator[Path]:
    """`os.path.isdir` takes any text for a name; `Path.is_dir` raises where it is too long."""
    if os.path.isdir(name):  # noqa: PTH112
        yield from _in_folder(Path(name))
    else:
        yield Path(name)


def _in_folder(folder: Path) -> Iterator[Path]:
    empty = True
    closed: list[OSError] = []
    for home, folders, names in os.walk(folder, onerror=closed.append):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                empty = False
                yield Path(home, name)
    yield from (Path(error.filename) for error in closed)
    if empty and not closed:
        yield folder


def _decoded(model: Model, paths: Iterable[Path]) -> Iterator[Read]:
    """A few images ahead: decoders work without Python's global lock."""
    with ThreadPoolExecutor() as pool:
        decoding: deque[Future[Read]] = deque()
        for path in paths:
            decoding.append(pool.submit(read, model, str(path), path))
            if len(decoding) == AHEAD:
                yield decoding.popleft().result()
        for future in decoding:
            yield future.result()


def _refuse_other_than_file(path: Path) -> None:
    """A pipe may never say anything, and a device never end. Raises ImageRejected, or OSError."""
    try:
        mode = path.stat().st_mode
    except ValueError as error:  # a NUL in the name
        raise ImageRejected(str(error)) from None
    if stat.S_ISDIR(mode):
        os.scandir(path).close()  # says why the folder could not be searched
        raise ImageRejected(f"folder without images: no file in it ends in {', '.join(SUFFIXES)}")
    if not stat.S_ISREG(mode):
        raise ImageRejected("pipe, socket or device; expected a file")


def _warnings(model: Model, source: Path | bytes) -> tuple[str, ...]:
    """What a DICOM header says against this film. What it does not say speaks against nothing."""
    if not dicom.is_dicom(_start(source)):
        return ()
    from pneumo.preprocessing import headers

    says = headers.details(dicom.load(source, pixels=False))
    found = []
    taken = model.contract.film_views
    if taken is not None and says["view"] not in ("", *taken):
        found.append(f"view {says['view']}: the model was trained on {', '.join(taken)}")
    if says["body_part"] not in ("", *views.CHEST):
        found.append(f"body part {says['body_part']}: the model was trained on chest films")
    return tuple(found)


def _start(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:132]
    with source.open("rb") as file:
        return file.read(132)


def _outputs(
    model: Model, pixels: NDArray[np.uint8], *, heats: bool
) -> Iterator[tuple[float, bool, NDArray[np.float32] | None]]:
    """Of each of uint8 [n, S, S]: its probability, whether it is unlike the training images, and its heat [S, S]."""
    unlike = model.unlike(pixels)
    if not heats:
        return zip(model.probabilities(pixels), unlike, repeat(None), strict=False)
    probabilities, heat = model.probabilities_and_heat(pixels)
    return zip(probabilities, unlike, heat, strict=True)
