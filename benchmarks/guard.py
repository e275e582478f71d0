"""What the guard of an exported model flags: `python -m benchmarks.guard [PROCESSED] [--of NAME=FOLDER ...]`.

The guard is fitted on the training images of PROCESSED (default data/processed), its limit on the validation images, as
stage export does. Then the share that it flags of the test images, as they are and turned, inverted or mirrored, of
scikit-learn's photographs, of noise and of text, and of the images of each FOLDER, DICOM of any kind included.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_images

from pneumo.data import packed
from pneumo.errors import ImageRejected
from pneumo.export import guard
from pneumo.preprocessing import dicom, film, images

COUNT = 20  # of noise and of text


def main() -> None:
    parser = argparse.ArgumentParser(description="Shares that the guard flags.")
    parser.add_argument("processed", nargs="?", type=Path, default=Path("data/processed"), metavar="PROCESSED")
    parser.add_argument("--of", action="append", default=[], metavar="NAME=FOLDER", help="more images to try")
    arguments = parser.parse_args()
    train, val, test = (
        np.asarray(packed.read_split(arguments.processed, split).pixels(slice(None)))
        for split in ("train", "val", "test")
    )
    fitted = guard.fit(train, val)
    size = train.shape[-1]
    tried = {
        "validation, which sets the limit": val,
        "test": test,
        "test, mirrored": test[:, :, ::-1],
        "test, upside down": test[:, ::-1],
        "test, on their side": np.rot90(test, axes=(1, 2)),
        "test, inverted": 255 - test,
        "photographs of scikit-learn": np.stack([_decoded(image, size) for image in load_sample_images().images]),
        "noise": _noise(size),
        "text": _text(size),
    }
    for named in arguments.of:
        name, _, folder = named.partition("=")
        tried[name] = np.stack(
            [pixels for path in sorted(Path(folder).rglob("*")) if (pixels := _read(path, size)) is not None]
        )
    for name, pixels in tried.items():
        flagged = fitted.guard.distances(pixels) > fitted.limit
        print(f"{name:<34} {flagged.mean():7.1%} of {len(pixels):,}")


def _read(path: Path, size: int) -> NDArray[np.uint8] | None:
    """Pixels of any image, of DICOM also those that are no film; None for what is no image."""
    if not path.is_file():
        return None
    data = path.read_bytes()
    try:
        if dicom.is_dicom(data):
            grey = Image.fromarray(film.grey(dicom.load(data, pixels=True)))
            return np.asarray(grey.resize((size, size), Image.Resampling.LANCZOS)).clip(0, 255).astype(np.uint8)
        return images.decode(data, size).pixels
    except (ImageRejected, AttributeError, NotImplementedError, ValueError):
        return None


def _decoded(photograph: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(photograph).save(file, "PNG")
    return images.decode(file.getvalue(), size).pixels


def _noise(size: int) -> NDArray[np.uint8]:
    """From fine to coarse."""
    chance = np.random.default_rng(0)
    made = []
    for at in range(COUNT):
        side = max(4, size >> at % 6)
        noise = Image.fromarray(chance.integers(0, 256, (side, side), dtype=np.uint8))
        made.append(np.asarray(noise.resize((size, size), Image.Resampling.BICUBIC)))
    return np.stack(made)


def _text(size: int) -> NDArray[np.uint8]:
    """Black on white and white on black."""
    chance = np.random.default_rng(0)
    made = []
    for at in range(COUNT):
        page = Image.new("L", (size, size), 255 * (at % 2))
        for top in range(4, size - 8, 12):
            line = "".join(chr(letter) for letter in chance.integers(97, 123, size // 6))
            ImageDraw.Draw(page).text((4, top), line, fill=255 * (1 - at % 2))
        made.append(np.asarray(page))
    return np.stack(made)


if __name__ == "__main__":
    main()
