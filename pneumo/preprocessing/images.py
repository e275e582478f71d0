"""One image file: bytes -> checked, decoded, resized greyscale pixels.

JPEG and PNG, recognised by content and never by suffix. What cannot be used is refused with a reason of one line.
Full-size JPEGs are shrunk inside the decoder, which skips most of the work: see `benchmarks/preprocess.py`.
"""

import hashlib
import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from pneumo.errors import ImageRejected

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
    ("DICOM", 128, b"DICM"),
    ("JPEG 2000", 4, b"jP  "),
    ("Git LFS pointer in place of the", 0, b"version https://git-lfs.github.com/spec/"),
]
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"  # the last chunk, which is the same in every file
_JPEG_END = b"\xff\xd9"
# warnings.catch_warnings swaps a list that all threads share: two at once could leave it swapped for good.
_WARNINGS = threading.Lock()


@dataclass(frozen=True)
class Radiograph:
    """pixels: uint8 [S, S], upright; width, height: as in the file's header, before EXIF orientation;
    sha256: of the file's bytes, in hexadecimal."""

    pixels: np.ndarray
    width: int
    height: int
    sha256: str


def read_image(path: Path, size: int, *, max_pixels: int = MAX_PIXELS) -> Radiograph:
    """Read one JPEG or PNG file as a greyscale square of `size` pixels a side; see `decode`.

    Raises ImageRejected if the content cannot be used, OSError if the file cannot be read at all.
    """
    if (length := path.stat().st_size) > MAX_BYTES:
        raise ImageRejected(f"file of {length} bytes; expected at most {MAX_BYTES}")
    return decode(path.read_bytes(), size, max_pixels=max_pixels)


def decode(data: bytes, size: int, *, max_pixels: int = MAX_PIXELS) -> Radiograph:
    """Stretch the image in `data` to a greyscale square, uint8 [size, size], with an antialiasing filter.

    Upright as its EXIF orientation says. Transparency shows black. 16 bits are scaled from the range of the smallest of
    DEPTHS that holds the highest value, so that films of 12 bits in files of 16 stay as bright as they are. CMYK is
    read as Adobe writes it, inverted. Animated PNG is refused.
    Raises ImageRejected with the reason.
    """
    kind, image = _opened(data)
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise ImageRejected(f"{width} x {height} pixels; expected at least {MIN_SIDE} a side")
    if width * height > max_pixels:
        raise ImageRejected(f"{width} x {height} pixels; expected at most {max_pixels} in all")
    if kind == "JPEG":
        _refuse_damaged_jpeg(data, image.mode)
    with _refusing(kind):
        square = _square(image, size)
        with _silenced():
            pixels = np.asarray(ImageOps.exif_transpose(square))
    lowest, highest = int(pixels.min()), int(pixels.max())
    if lowest == highest:
        raise ImageRejected(f"blank: every pixel is {lowest}")
    return Radiograph(pixels, width, height, hashlib.sha256(data).hexdigest())


def _opened(data: bytes) -> tuple[str, ImageFile]:
    """The format's name and the image, with its header read and nothing decoded.

    Pillow's classes are called directly: `Image.open` checks its own pixel limit, which is global.
    """
    if data.startswith(_PNG):
        return "PNG", _opened_png(data)
    if data.startswith(_JPEG):
        return "JPEG", _opened_jpeg(data)
    raise ImageRejected(f"{_name(data)}; expected JPEG or PNG")


def _opened_png(data: bytes) -> PngImageFile:
    if data.rfind(_PNG_END) < 0:  # Pillow is content with the name of the last chunk
        raise ImageRejected("PNG is truncated: it has no IEND chunk")
    with _refusing("PNG"), _silenced():
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
    with _refusing("JPEG"), _silenced():
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
    """What the bytes are, if they are neither JPEG nor PNG."""
    if not data:
        return "empty file of 0 bytes"
    for name, offset, magic in _OTHER_FORMATS:
        if data.startswith(magic, offset):
            return f"{name} file"
    if all(byte in b"\t\n\r" or byte >= 32 for byte in data[:256]):
        return "text file"
    return f"unknown format beginning with bytes {data[:4].hex(' ')}"


def _square(image: ImageFile, size: int) -> Image.Image:
    """Decode, make grey, composite on black and stretch; mode L."""
    # A JPEG decoder can give 1/2, 1/4 or 1/8 of each side at little cost: the smallest that still needs no
    # enlarging. `box` is where the picture lies on that coarser grid, to a fraction of a pixel.
    drafted = image.draft("L", (size, size)) if image.format == "JPEG" else None
    box = drafted[1] if drafted else None
    transparent = image.info.get("transparency")
    if image.mode == "I;16":  # Pillow resizes 16 bits inexactly, and `convert` to L clips them
        grey = image.convert("F")
        if transparent is not None:
            grey.paste(0, mask=Image.fromarray(np.asarray(image) == transparent))
        square = grey.resize((size, size), Image.Resampling.LANCZOS)
        highest = image.getextrema()[1]
        white = next(2**depth - 1 for depth in DEPTHS if highest < 2**depth)
        return square.point(lambda value: value * (255 / white) + 0.5).convert("L")
    if image.has_transparency_data:
        rgba = image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
        grey = Image.composite(rgba.convert("L"), Image.new("L", rgba.size), rgba.getchannel("A"))
        grey.info = image.info
    else:
        grey = image.convert("L")
    return grey.resize((size, size), Image.Resampling.LANCZOS, box=box)


@contextmanager
def _refusing(kind: str) -> Iterator[None]:
    """Whatever Pillow raises on broken bytes, as a reason of one line."""
    try:
        yield
    except Exception as error:  # SyntaxError, struct.error, AssertionError, ...: there is no common base
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise ImageRejected(f"{kind} cannot be decoded: {reason}") from error


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep Pillow's warnings about odd metadata off the terminal."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
