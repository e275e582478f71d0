"""One image file: bytes -> checked, decoded, resized greyscale pixels.

JPEG, PNG and DICOM, recognised by content and never by suffix. What cannot be used is refused with a reason of one
line.
Full-size JPEGs are shrunk inside the decoder, which skips most of the work: see `benchmarks/preprocess.py`.
"""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import simplejpeg
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from pneumo.errors import ImageRejected
from pneumo.preprocessing import dicom
from pneumo.preprocessing.silence import silenced

Fit = Literal["stretch", "pad"]

MIN_SIDE = 32  # pixels
MAX_PIXELS = 200_000_000  # the largest radiographs have about 60 million
MAX_BYTES = 512 * 1024**2  # of a file; it is held in memory while it is decoded

DEPTHS = (8, 10, 12, 14, 16)  # bits in which detectors and archives store grey values

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_OTHER_FORMATS = [  # name, offset, bytes there
    ("GIF", 0, b"GIF8"),
    ("BMP", 0, b"BM"),
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("WebP", 8, b"WEBP"),
    ("DICOM without the prefix of Part 10 in a", 0, b"\x08\0\0\0"),
    ("DICOM without the prefix of Part 10 in a", 0, b"\x08\0\x05\0"),
    ("DICOM without the prefix of Part 10 in a", 0, b"\x08\0\x08\0"),
    ("JPEG 2000", 4, b"jP  "),
    ("Git LFS pointer in place of the", 0, b"version https://git-lfs.github.com/spec/"),
]
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"  # the last chunk, which is the same in every file
_JPEG_END = b"\xff\xd9"


@dataclass(frozen=True)
class Radiograph:
    """pixels: uint8 [S, S], upright; width, height: as in the file's header, before EXIF orientation;
    sha256: of the file's bytes, in hexadecimal."""

    pixels: np.ndarray
    width: int
    height: int
    sha256: str


def read_image(path: Path, size: int, *, fit: Fit = "stretch", max_pixels: int = MAX_PIXELS) -> Radiograph:
    """Read one JPEG, PNG or DICOM file as a greyscale square of `size` pixels a side; see `decode`.

    Raises ImageRejected if the content cannot be used, OSError if the file cannot be read at all, and MissingExtra for
    DICOM without the libraries that read it.
    """
    refuse_large(path.stat().st_size)
    return decode(path.read_bytes(), size, fit=fit, max_pixels=max_pixels)


def refuse_large(length: int) -> None:
    """Raise ImageRejected for a file of more than MAX_BYTES bytes, which is not to be read into memory."""
    if length > MAX_BYTES:
        raise ImageRejected(f"file of {length} bytes; expected at most {MAX_BYTES}")


def decode(data: bytes, size: int, *, fit: Fit = "stretch", max_pixels: int = MAX_PIXELS) -> Radiograph:
    """The image in `data` as a greyscale square, uint8 [size, size], through an antialiasing filter.

    fit: `stretch` it to the square, or keep the ratio of its sides and `pad` with black, which is what lies beyond
    the edge of a film that is not exposed there, and what transparency and DICOM's padding become too.

    Upright as its EXIF orientation says. Transparency shows black. PNGs of 16 bits are scaled from the range of the
    smallest of DEPTHS that holds the highest value, so that films of 12 bits in files of 16 stay as bright as they are.
    CMYK is read as Adobe writes it, inverted. Animated PNG is refused. DICOM is shown as its header says (`greyscale`),
    and refused where it is not a single radiograph.
    Raises ImageRejected with the reason.
    """
    if dicom.is_dicom(data):
        pixels, width, height = _decoded_dicom(data, size, fit, max_pixels)
    else:
        pixels, width, height = _decoded(data, size, fit, max_pixels)
    lowest, highest = int(pixels.min()), int(pixels.max())
    if lowest == highest:
        raise ImageRejected(f"blank: every pixel is {lowest}")
    return Radiograph(pixels, width, height, hashlib.sha256(data).hexdigest())


def _decoded(data: bytes, size: int, fit: Fit, max_pixels: int) -> tuple[np.ndarray, int, int]:
    kind, image = _opened(data)
    width, height = image.size
    _refuse_size(width, height, max_pixels)
    if kind == "JPEG":
        _refuse_damaged_jpeg(data, image.mode)
    with _refusing(kind):
        square = _square(image, size, fit)
        with silenced():
            return np.asarray(ImageOps.exif_transpose(square)), width, height


def _decoded_dicom(data: bytes, size: int, fit: Fit, max_pixels: int) -> tuple[np.ndarray, int, int]:
    from pneumo.preprocessing import film  # with pydicom, which only DICOM needs

    opened = film.opened(data)
    _refuse_size(opened.width, opened.height, max_pixels)
    square = _fitted(opened.grey(), size, fit, aspect=opened.aspect)
    return np.asarray(square), opened.width, opened.height


def _refuse_size(width: int, height: int, max_pixels: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise ImageRejected(f"{width} x {height} pixels; expected at least {MIN_SIDE} a side")
    if width * height > max_pixels:
        raise ImageRejected(f"{width} x {height} pixels; expected at most {max_pixels} in all")


def _opened(data: bytes) -> tuple[str, ImageFile]:
    """The format's name and the image, with its header read and nothing decoded.

    Pillow's classes are called directly: `Image.open` checks its own pixel limit, which is global.
    """
    if data.startswith(_PNG):
        return "PNG", _opened_png(data)
    if data.startswith(_JPEG):
        return "JPEG", _opened_jpeg(data)
    raise ImageRejected(f"{_name(data)}; expected JPEG, PNG or DICOM")


def _opened_png(data: bytes) -> PngImageFile:
    if data.rfind(_PNG_END) < 0:  # Pillow is content with the name of the last chunk
        raise ImageRejected("PNG is truncated: it has no IEND chunk")
    with _refusing("PNG"), silenced():
        image, verified = PngImageFile(io.BytesIO(data)), PngImageFile(io.BytesIO(data))  # verifying uses one up
    if image.is_animated:
        raise ImageRejected("animated PNG; expected a single image")
    if not image.tile:
        raise ImageRejected("PNG has no pixel data")
    with _refusing("PNG"):
        verified.verify()  # checksums of the pixel data, which decoding ignores
    return image


def _opened_jpeg(data: bytes) -> JpegImageFile:
    file = io.BytesIO(data)
    with _refusing("JPEG"), silenced():
        image = JpegImageFile(file)
    # file stands behind the header. Pillow does not miss the end marker: the rest may be zeros, which decode to grey.
    if data.find(_JPEG_END, file.tell()) < 0:
        raise ImageRejected("JPEG is truncated: it has no end marker")
    return image


def _refuse_damaged_jpeg(data: bytes, mode: str) -> None:
    """libjpeg fills what is damaged with grey and warns; Pillow does not pass that on, strict decoding does."""
    colours = "CMYK" if mode == "CMYK" else "GRAY"
    with _refusing("JPEG"):  # an eighth of each side: little more than the entropy decoding that finds the damage
        simplejpeg.decode_jpeg(data, colours, min_height=1, min_width=1, min_factor=8, strict=True)


def _name(data: bytes) -> str:
    """What the bytes are, if they are none of the formats that are read."""
    if not data:
        return "empty file of 0 bytes"
    for name, offset, magic in _OTHER_FORMATS:
        if data.startswith(magic, offset):
            return f"{name} file"
    if all(byte in b"\t\n\r" or byte >= 32 for byte in data[:256]):
        return "text file"
    return f"unknown format beginning with bytes {data[:4].hex(' ')}"


def _square(image: ImageFile, size: int, fit: Fit) -> Image.Image:
    """Decode, make grey, composite on black and fit; mode L."""
    # A JPEG decoder can give 1/2, 1/4 or 1/8 of each side at little cost: the smallest that still needs no
    # enlarging. `box` is where the picture lies on that coarser grid, to a fraction of a pixel.
    sides = _sides(image.width, image.height, size, fit)
    drafted = image.draft("L", sides) if image.format == "JPEG" else None
    box = drafted[1] if drafted else None
    transparent = image.info.get("transparency")
    if image.mode == "I;16":  # Pillow resizes 16 bits inexactly, and `convert` to L clips them
        grey = image.convert("F")
        if transparent is not None:
            grey.paste(0, mask=Image.fromarray(np.asarray(image) == transparent))
        highest = image.getextrema()[1]
        white = next(2**depth - 1 for depth in DEPTHS if highest < 2**depth)
        return _fitted(grey, size, fit, white=white)
    if image.has_transparency_data:
        rgba = image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
        grey = Image.composite(rgba.convert("L"), Image.new("L", rgba.size), rgba.getchannel("A"))
        grey.info = image.info
    else:
        grey = image.convert("L")
    return _fitted(grey, size, fit, sides=sides, box=box)


def _sides(width: int, height: int, size: int, fit: Fit, aspect: float = 1.0) -> tuple[int, int]:
    """What the picture takes of the square, in pixels. aspect: height of one of its pixels in its widths."""
    if fit == "stretch":
        return size, size
    scale = size / max(width, height * aspect)
    return max(1, round(width * scale)), max(1, round(height * aspect * scale))


def _fitted(
    grey: Image.Image,
    size: int,
    fit: Fit,
    *,
    sides: tuple[int, int] | None = None,
    box: tuple[float, float, float, float] | None = None,
    aspect: float = 1.0,
    white: int = 255,
) -> Image.Image:
    """Mode L, size x size, from mode L, or from mode F with `white` becoming 255: rounded once, at the end."""
    sides = sides or _sides(grey.width, grey.height, size, fit, aspect)
    fitted = grey.resize(sides, Image.Resampling.LANCZOS, box=box)
    if fitted.mode == "F":
        fitted = fitted.point(lambda value: value * (255 / white) + 0.5).convert("L")
    if sides == (size, size):
        return fitted
    square = Image.new("L", (size, size))
    square.paste(fitted, ((size - sides[0]) // 2, (size - sides[1]) // 2))
    square.info = grey.info  # the orientation
    return square


@contextmanager
def _refusing(kind: str) -> Iterator[None]:
    """Whatever Pillow raises on broken bytes, as a reason of one line."""
    try:
        yield
    except Exception as error:  # SyntaxError, struct.error, AssertionError, ...: there is no common base
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise ImageRejected(f"{kind} cannot be decoded: {reason}") from error
