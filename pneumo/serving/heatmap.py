"""Heat over a film as a picture: where a network found evidence for pneumonia (pneumo.explain.grad_cam)."""

import hashlib
import io
import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumo.errors import ServingError
from pneumo.serving import folders

OPACITY = 0.6  # of the colour where the evidence is strongest, as in the report
# matplotlib's plasma (CC0), in seventeen steps: even to the eye, also without red or green, and in grey
COLOURS = np.array(
    [
        (13, 8, 135), (49, 5, 151), (76, 2, 161), (102, 0, 167), (126, 3, 168), (149, 17, 161), (170, 35, 149),
        (188, 53, 135), (204, 71, 120), (218, 90, 106), (230, 108, 92), (240, 128, 78), (248, 149, 64), (253, 172, 51),
        (253, 197, 39), (248, 223, 37), (240, 249, 33),
    ]
)  # fmt: skip
SMALLEST, GAP = 384, 8  # pixels of the side of a panel, at least; between two
MARK = ("Software", "pneumo predict --heatmap")  # without which a file is not replaced
NAMED = 80  # letters of the image's own name


class Folder:
    """Where heat maps go: made if need be, tried, and outside the `searched` folders, lest maps be taken for films.

    Raises ServingError.
    """

    def __init__(self, path: Path, searched: Iterable[str] = ()) -> None:
        self.path = path
        folders.prepare("--heatmap", path, searched)

    def write(self, image: str, pixels: NDArray[np.uint8], heat: NDArray[np.float32]) -> Path:
        """The picture of `image`, in place of an earlier one. Raises ServingError, also for a file that is no picture
        of this command.
        """
        target = self.path / name(image)
        if target.is_symlink() or (target.exists() and not _is_ours(target)):
            raise ServingError(f"{target} is there, and is no heat map of this command: move it away")
        part = target.with_suffix(".part")
        try:
            part.write_bytes(png(pixels, heat))
            part.replace(target)
        except OSError as error:
            part.unlink(missing_ok=True)
            reason = error.strerror or type(error).__name__
            raise ServingError(
                f"{target} cannot be written: {reason}. Free some space, or name another --heatmap"
            ) from None
        return target


def name(image: str) -> str:
    """The file of the heat map of `image`: its name, and a hash of its whole path, as others may have that name."""
    path = Path(image)
    digest = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:12]
    return f"{re.sub('[^A-Za-z0-9._-]', '_', path.name)[:NAMED]}.{digest}.png"


def overlay(pixels: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """uint8 [S, S] and [S, S] in [0, 1] -> RGB, uint8 [S, S, 3]. Where there is no evidence the film stays as it is."""
    grey = pixels.astype(float)[..., None]
    alpha = OPACITY * heat.astype(float)[..., None]
    coloured = (1 - alpha) * grey + alpha * _colours(heat)
    return coloured.round().clip(0, 255).astype(np.uint8)


def png(pixels: NDArray[np.uint8], heat: NDArray[np.float32]) -> bytes:
    """The film, uint8 [S, S], as the network was given it, and beside it the same under its heat, [S, S] in [0, 1]."""
    from PIL import Image, PngImagePlugin

    side = max(SMALLEST, len(pixels))
    film = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
    warm = Image.fromarray(heat.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR)
    enlarged = np.asarray(film)
    gap = np.full((side, GAP, 3), 255, dtype=np.uint8)
    panels = [enlarged[..., None].repeat(3, axis=2), gap, overlay(enlarged, np.asarray(warm).clip(0, 1))]
    about = PngImagePlugin.PngInfo()
    about.add_text(*MARK)
    file = io.BytesIO()
    Image.fromarray(np.concatenate(panels, axis=1)).save(file, "png", pnginfo=about)
    return file.getvalue()


def _colours(heat: NDArray[np.float32]) -> NDArray[np.float64]:
    steps = np.linspace(0, 1, len(COLOURS))
    return np.stack([np.interp(heat, steps, channel) for channel in COLOURS.T], axis=-1)


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return "\0".join(MARK).encode() in file.read(256)
