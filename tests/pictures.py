"""One picture in every mode of PNG and JPEG, and the grey pixels that each file shows."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageChops

MAGIC = b"\x89PNG\r\n\x1a\n"


def picture(width: int, height: int) -> np.ndarray:
    """Something like a radiograph: float [height, width] from 0 to 255, smooth with ribs, a mark and grain."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    body = 200 * np.exp(-((x - 0.4) ** 2) / 0.15 - (y - 0.6) ** 2 / 0.3)
    ribs = 25 * np.sin(45 * y + 6 * (x - 0.5) ** 2)
    grain = np.random.default_rng(0).normal(0, 4, (height, width))
    image = body + ribs + grain
    image[: height // 10, : width // 8] = 250
    return np.clip(image, 0, 255).round()


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def inserted(data: bytes, before: bytes, kind: bytes, payload: bytes) -> bytes:
    start = data.index(before) - 4
    return data[:start] + chunk(kind, payload) + data[start:]


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG by hand, for what Pillow does not write. rows: the packed rows without their filter bytes."""
    stride = len(rows) // height
    filtered = b"".join(b"\0" + rows[i * stride : (i + 1) * stride] for i in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(filtered)), (b"IEND", b"")]
    return MAGIC + b"".join(chunk(*pair) for pair in chunks)


def luma(rgb: np.ndarray) -> np.ndarray:
    return rgb @ np.array([0.299, 0.587, 0.114])  # ITU-R 601-2


GREY = picture(200, 150)
GREY8 = Image.fromarray(GREY.astype(np.uint8))
BITS = GREY > 120
COLOUR = np.stack([GREY, np.roll(GREY, 40, 0), 255 - GREY], axis=2)
RGB = Image.fromarray(COLOUR.astype(np.uint8))
ALPHA = np.linspace(0, 255, 200).round() * np.ones((150, 1))
ALPHA8 = Image.fromarray(ALPHA.astype(np.uint8))
LEVELS = (GREY // 16).astype(np.uint8)
DEEP = (GREY * 180 + 1000).astype(np.uint16)  # 1000..46900: neither end of 16 bits is reached


def with_alpha(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(ALPHA8)
    return image


def palette_image() -> Image.Image:
    image = Image.fromarray(LEVELS).convert("P")
    image.putpalette([value for level in range(16) for value in (255 - 17 * level, 17 * level, 5 * level)])
    return image


def palette_grey(shown: np.ndarray | float = 1.0) -> np.ndarray:
    level = LEVELS.astype(float)
    return luma(np.stack([255 - 17 * level, 17 * level, 5 * level], axis=2)) * shown


def cmyk(*bands: np.ndarray) -> Image.Image:
    return Image.merge("CMYK", [Image.fromarray(band.astype(np.uint8)) for band in bands])


def ycck() -> bytes:
    """CMY = 255 - GREY and no black, in the form that Photoshop writes (Adobe transform 2)."""
    inks = Image.fromarray(np.repeat((255 - GREY)[..., None], 3, axis=2).astype(np.uint8))
    bands = [ImageChops.invert(band) for band in inks.convert("YCbCr").split()]
    data = bytearray(encoded(Image.merge("CMYK", [*bands, Image.new("L", GREY8.size)]), "JPEG", quality=95))
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0
    data[transform] = 2
    return bytes(data)


NO_INK = np.zeros_like(GREY)
HIDDEN = LEVELS != 5
PALETTE, RISING = palette_image(), bytes(range(0, 256, 17))
QUARTERS = LEVELS // 4
TWO_BITS = np.packbits(np.unpackbits(QUARTERS[..., None], axis=2)[..., 6:].reshape(150, 400), axis=1)
STEPS = Image.fromarray(LEVELS * 17)
STEPS16 = Image.fromarray(LEVELS * np.uint16(4000))
DEEP_ALPHA = np.stack([GREY, ALPHA], axis=2) * 257
MODES = {  # name: file, grey pixels that it shows
    "png 8 bit grey": (encoded(GREY8, "PNG"), GREY),
    "png 1 bit": (encoded(Image.fromarray(BITS), "PNG"), BITS * 255),
    "png 2 bit grey": (png(200, 150, 2, 0, TWO_BITS.tobytes()), QUARTERS * 85.0),
    "png RGB": (encoded(RGB, "PNG"), luma(COLOUR)),
    "png RGBA": (encoded(with_alpha(RGB), "PNG"), luma(COLOUR) * ALPHA / 255),
    "png LA": (encoded(with_alpha(GREY8), "PNG"), GREY * ALPHA / 255),
    "png palette": (encoded(PALETTE, "PNG"), palette_grey()),
    "png palette, one colour hidden": (encoded(PALETTE, "PNG", transparency=5), palette_grey(HIDDEN)),
    "png palette, alpha": (encoded(PALETTE, "PNG", transparency=RISING), palette_grey(LEVELS / 15)),
    "png grey, one level hidden": (encoded(STEPS, "PNG", transparency=85), LEVELS * 17.0 * HIDDEN),
    "png 16 bit grey": (encoded(Image.fromarray(DEEP), "PNG"), DEEP / 257),
    "png 16 bit grey, one level hidden": (encoded(STEPS16, "PNG", transparency=20000), LEVELS * HIDDEN * (4000 / 257)),
    **{
        f"png 16 bit grey, of {bits} bits": (
            encoded(Image.fromarray(GREY.astype(np.uint16) * (2**bits // 256)), "PNG"),
            GREY.astype(np.uint16) * (2**bits // 256) * (255 / (2**bits - 1)),
        )
        for bits in (8, 10, 12, 14)
    },
    "png 16 bit RGB": (png(200, 150, 16, 2, (COLOUR * 257).astype(">u2").tobytes()), luma(COLOUR)),
    "png 16 bit grey, alpha": (png(200, 150, 16, 4, DEEP_ALPHA.astype(">u2").tobytes()), GREY * ALPHA / 255),
    "jpeg grey": (encoded(GREY8, "JPEG", quality=95), GREY),
    "jpeg progressive": (encoded(GREY8, "JPEG", quality=95, progressive=True), GREY),
    "jpeg YCbCr": (encoded(RGB, "JPEG", quality=95), luma(COLOUR)),
    "jpeg RGB": (encoded(RGB, "JPEG", quality=95, keep_rgb=True), luma(COLOUR)),
    "jpeg CMYK, coloured inks": (encoded(cmyk(*[255 - GREY] * 3, NO_INK), "JPEG", quality=95), GREY),
    "jpeg CMYK, black ink": (encoded(cmyk(*[NO_INK] * 3, 255 - GREY), "JPEG", quality=95), GREY),
    "jpeg YCCK": (ycck(), GREY),
}  # fmt: skip
JPEG, PNG = MODES["jpeg grey"][0], MODES["png 8 bit grey"][0]
