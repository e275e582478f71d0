"""Films and heat maps as PNG, which browsers can show; most cannot show DICOM."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from pneumo.preprocessing import dicom, images
from pneumo.preprocessing.silence import silenced
from pneumo.serving.heatmap import COLOURS

SIDE = 1024  # of a film that is shown, at most, pixels
_SIDEWAYS = (5, 6, 7, 8)  # EXIF 2.32, 4.6.4: the sides change places
_STRONGEST = 0.85  # opacity where the heat is 1: some of the film stays visible


def film(data: bytes, fit: images.Fit) -> bytes:
    """PNG of the image in `data`, upright, as preprocessing reads it; what it covers is what the heat map covers.

    Where films are stretched to a square it has the film's own sides; where they are padded it is the padded square.
    Raises ImageRejected.
    """
    width, height = _sides(data)
    side = max(1, min(SIDE, round(max(width, height))))
    square = Image.fromarray(images.decode(data, side, fit="pad").pixels)
    if fit == "pad":
        return _png(square)
    scale = side / max(width, height)
    sides = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (side - sides[0]) // 2, (side - sides[1]) // 2
    return _png(square.crop((left, top, left + sides[0], top + sides[1])))


def seen(pixels: NDArray[np.uint8]) -> bytes:
    """PNG of uint8 [S, S]."""
    return _png(Image.fromarray(pixels))


def heat(values: NDArray[np.float32]) -> bytes:
    """PNG, transparent where nothing counts, of float32 [S, S] in [0, 1]."""
    clipped = np.clip(values.astype(float), 0, 1)
    at = np.linspace(0, 1, len(COLOURS))
    colours = [np.interp(clipped, at, band) for band in COLOURS.T]
    rgba = np.stack([*colours, clipped * 255 * _STRONGEST], axis=-1)
    return _png(Image.fromarray(np.rint(rgba).astype(np.uint8)))


def text(png: bytes) -> str:
    """For JSON."""
    return base64.b64encode(png).decode("ascii")


def _sides(data: bytes) -> tuple[float, float]:
    """Width and height of the upright picture, in widths of its pixels."""
    if dicom.is_dicom(data):
        from pneumo.preprocessing import film as films

        opened = films.opened(data)
        return opened.width, opened.height * opened.aspect
    with silenced():  # Pillow's classes, as in preprocessing: `Image.open` has a limit of its own
        image = (PngImageFile if data.startswith(b"\x89PNG") else JpegImageFile)(io.BytesIO(data))
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in _SIDEWAYS
    width, height = image.size
    return (height, width) if turned else (width, height)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=3)
    return file.getvalue()
