"""Radiographs as small pictures inside a page."""

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 144  # pixels of a thumbnail


def thumbnail(pixels: NDArray[np.uint8], side: int = SIDE) -> str:
    """uint8 [S, S] -> a JPEG of at most `side` pixels a side as a data: address."""
    image = Image.fromarray(np.asarray(pixels))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _address(image)


def strip(path: Path) -> str:
    """A picture file, re-encoded as a JPEG, as a data: address."""
    with Image.open(path) as image:
        return _address(image.convert("RGB"))


def _address(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
