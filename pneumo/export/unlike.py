"""Images on which the guard of an exported model is tried: films as they are and disturbed, and what is no film."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pneumo.data import packed
from pneumo.evaluation import flagged
from pneumo.preprocessing import dicom, film, images
from pneumo.serving import contract

COUNT = 20  # of noise and of text
SECTIONS = 3  # along each side of a photograph
OTHER_DICOM = (  # of those that pydicom ships for its own tests
    "CT_small.dcm",
    "693_J2KI.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "MR_small.dcm",
    "examples_overlay.dcm",
    "ExplVR_BigEnd.dcm",
    "examples_jpeg2k.dcm",
    "examples_palette.dcm",
    "examples_rgb_color.dcm",
    "JPEG2000.dcm",
    "image_dfl.dcm",
)
Pixels = NDArray[np.uint8]


def distances(best: Path, processed: Path) -> tuple[pd.DataFrame, float]:
    """flagged.COLUMNS of all groups, by the guard of the model in the folder `best`, and the guard's limit."""
    about = contract.read(best)
    guard = contract.guard(best, about)
    rows = [
        pd.DataFrame({"group": group, "image": list(names), "distance": guard.distances(pixels)})
        for group, names, pixels in groups(processed)
    ]
    return pd.concat(rows, ignore_index=True), about.guard.limit


def groups(processed: Path) -> Iterator[tuple[str, Sequence[str], Pixels]]:
    """Each of flagged.GROUPS with the names of its images and their packed pixels, uint8 [n, S, S]."""
    val, test = (packed.read_split(processed, split) for split in ("val", "test"))
    films, names = np.asarray(test.pixels(slice(None))), test.rows["image"].tolist()
    size = films.shape[-1]
    yield flagged.VALIDATION, val.rows["image"].tolist(), np.asarray(val.pixels(slice(None)))
    yield flagged.TEST, names, films
    yield "mirrored", names, films[:, :, ::-1]
    yield "upside_down", names, films[:, ::-1]
    yield "on_their_side", names, np.rot90(films, axes=(1, 2))
    yield "inverted", names, 255 - films
    yield "photographs", *_photographs(size)
    yield "noise", _numbered("noise"), noise(size)
    yield "text", _numbered("text"), text(size)
    yield "other_dicom", *_other_dicom(size)


def read_any(path: Path, size: int) -> Pixels:
    """Pixels of an image, of DICOM also those that are no film, uint8 [size, size]. Raises ImageRejected."""
    data = path.read_bytes()
    if not dicom.is_dicom(data):
        return images.decode(data, size).pixels
    return _squeezed(film.grey(dicom.load(data, pixels=True)), size)


def noise(size: int) -> Pixels:
    """uint8 [COUNT, size, size], from fine to coarse."""
    chance = np.random.default_rng(0)
    made = []
    for at in range(COUNT):
        side = max(4, size >> at % 6)
        grains = Image.fromarray(chance.integers(0, 256, (side, side), dtype=np.uint8))
        made.append(np.asarray(grains.resize((size, size), Image.Resampling.BICUBIC)))
    return np.stack(made)


def text(size: int) -> Pixels:
    """uint8 [COUNT, size, size], black on white and white on black."""
    chance = np.random.default_rng(0)
    made = []
    for at in range(COUNT):
        page = Image.new("L", (size, size), 255 * (at % 2))
        for top in range(4, size - 8, 12):
            line = "".join(chr(letter) for letter in chance.integers(97, 123, size // 6))
            ImageDraw.Draw(page).text((4, top), line, fill=255 * (1 - at % 2))
        made.append(np.asarray(page))
    return np.stack(made)


def _photographs(size: int) -> tuple[list[str], Pixels]:
    """scikit-learn's two photographs, each whole and in SECTIONS x SECTIONS."""
    from sklearn.datasets import load_sample_images

    names, made = [], []
    bunch = load_sample_images()
    for path, photograph in zip(bunch.filenames, bunch.images, strict=True):
        grey = np.asarray(Image.fromarray(photograph).convert("L"), dtype=np.float32)
        bands = [part for band in np.array_split(grey, SECTIONS) for part in np.array_split(band, SECTIONS, axis=1)]
        for at, part in enumerate([grey, *bands]):
            names.append(f"{Path(path).name} {at}")
            made.append(_squeezed(part, size))
    return names, np.stack(made)


def _other_dicom(size: int) -> tuple[Sequence[str], Pixels]:
    import pydicom

    home = Path(pydicom.__file__).parent / "data/test_files"
    return OTHER_DICOM, np.stack([read_any(home / name, size) for name in OTHER_DICOM])


def _squeezed(grey: NDArray[np.float32], size: int) -> Pixels:
    resized = Image.fromarray(grey).resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(resized).round().clip(0, 255).astype(np.uint8)


def _numbered(what: str) -> list[str]:
    return [f"{what} {at}" for at in range(COUNT)]
