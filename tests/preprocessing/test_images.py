import hashlib
import io
import struct
import sys
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFilter
from PIL.ExifTags import Base

from pneumo.errors import ImageRejected
from pneumo.preprocessing import images

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


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG by hand, for what Pillow does not write. rows: the packed rows without their filter bytes."""
    stride = len(rows) // height
    filtered = b"".join(b"\0" + rows[i * stride : (i + 1) * stride] for i in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(filtered)), (b"IEND", b"")]
    return MAGIC + b"".join(chunk(*pair) for pair in chunks)


def reference(grey: np.ndarray, type_: type = np.uint8) -> np.ndarray:
    """The slow and plain way, from full-size grey pixels in 0 to 255; exact with type_ float32."""
    image = Image.fromarray((grey.round() if type_ is np.uint8 else grey).astype(type_))
    return np.clip(np.asarray(image.resize((64, 64), Image.Resampling.LANCZOS), dtype=float), 0, 255)


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


@pytest.mark.parametrize("name", MODES)
def test_every_mode_shows_the_right_grey(name: str) -> None:
    data, grey = MODES[name]
    result = images.decode(data, 64)
    assert (result.pixels.shape, result.pixels.dtype) == ((64, 64), np.uint8)
    tolerance: tuple[type, float, float]
    if name.startswith("png 16 bit grey") and "alpha" not in name:
        tolerance = np.float32, 0.3, 0.51  # rounded once, at the end
    elif name.startswith("png"):
        tolerance = np.uint8, 0.6, 2
    else:  # JPEG keeps the pixels roughly, and is shrunk in two steps: sharp edges differ
        tolerance = np.uint8, 1.0, 40
    type_, mean, largest = tolerance
    difference = np.abs(result.pixels - reference(grey, type_))
    assert difference.mean() < mean
    assert difference.max() <= largest


def test_a_file_is_known_by_content_and_described_as_received(tmp_path: Path) -> None:
    path = tmp_path / "really a png.jpeg"
    path.write_bytes(encoded(GREY8, "PNG"))
    result = images.read_image(path, 50)
    assert (result.width, result.height) == (200, 150)
    assert result.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert result.pixels.shape == (50, 50)


def test_an_animation_of_one_frame_is_a_single_image() -> None:
    control = inserted(PNG, b"IDAT", b"acTL", struct.pack(">II", 1, 0))
    whole_picture = struct.pack(">IIIIIHHBB", 0, 200, 150, 0, 0, 1, 1, 0, 0)
    pixels = images.decode(inserted(control, b"IDAT", b"fcTL", whole_picture), 64).pixels
    np.testing.assert_array_equal(pixels, images.decode(PNG, 64).pixels)


UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # EXIF 2.3, tag 0x0112
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("name", ["jpeg grey", "png 8 bit grey", "png 16 bit grey", "png LA"])
def test_exif_orientation_is_honoured(name: str, orientation: int) -> None:
    data, grey = MODES[name]
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    with Image.open(io.BytesIO(data)) as image:
        result = images.decode(encoded(image, str(image.format), exif=exif), 64)
    assert np.abs(result.pixels - reference(UPRIGHT[orientation](grey))).mean() < 1.5
    assert (result.width, result.height) == (200, 150)


@pytest.mark.parametrize("name", MODES)
def test_padding_keeps_the_ratio_of_the_sides_in_every_mode(name: str) -> None:
    """200 x 150 pixels become 64 x 48 with 8 black rows above and below."""
    data, grey = MODES[name]
    pixels = images.decode(data, 64, fit="pad").pixels.astype(float)
    assert not pixels[:8].any()
    assert not pixels[56:].any()
    film = Image.fromarray(grey.astype(np.float32)).resize((64, 48), Image.Resampling.LANCZOS)
    assert np.abs(pixels[8:56] - np.clip(np.asarray(film), 0, 255)).mean() < 1.2


@pytest.mark.parametrize(
    ("width", "height", "left", "top"), [(200, 150, 0, 8), (150, 200, 8, 0), (64, 64, 0, 0), (2000, 1000, 0, 16)]
)
@pytest.mark.parametrize("format_", ["PNG", "JPEG"])
def test_padding_is_centred_and_black(width: int, height: int, left: int, top: int, format_: str) -> None:
    marked = Image.new("L", (width, height), 200)
    marked.paste(220, (0, 0, width, height // 2))
    lit = images.decode(encoded(marked, format_, quality=100), 64, fit="pad").pixels > 100
    expected = np.zeros((64, 64), dtype=bool)
    expected[top : 64 - top, left : 64 - left] = True
    np.testing.assert_array_equal(lit, expected)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_padding_is_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    pixels = images.decode(encoded(GREY8, "JPEG", quality=95, exif=exif), 64, fit="pad").pixels
    plain = images.decode(encoded(GREY8, "JPEG", quality=95), 64, fit="pad").pixels
    np.testing.assert_array_equal(pixels, UPRIGHT[orientation](plain))


@pytest.mark.parametrize("size", [224, 299])
@pytest.mark.parametrize(
    ("width", "height", "mode"),
    [(2400, 1800, "L"), (1801, 2407, "RGB"), (2400, 1800, "CMYK"), (450, 600, "L"), (300, 300, "L"), (150, 90, "L")],
)  # fmt: skip
def test_shrinking_in_the_decoder_keeps_the_picture(width: int, height: int, mode: str, size: int) -> None:
    image = Image.fromarray(picture(width, height).astype(np.uint8)).convert(mode)
    data = encoded(image, "JPEG", quality=90)
    with Image.open(io.BytesIO(data)) as file:
        full = file.convert("L").resize((size, size), Image.Resampling.LANCZOS)
    difference = np.abs(images.decode(data, size).pixels - np.asarray(full).astype(float))
    assert difference.mean() < 0.75


def test_an_edge_stays_where_it_was_after_shrinking() -> None:
    grey = np.full((1799, 1801), 50, np.uint8)  # 8 does not divide the sides: the coarse grid is a little larger
    grey[:, 900:] = 200
    result = images.decode(encoded(Image.fromarray(grey), "JPEG", quality=95), 224)
    position = 224 - (result.pixels.mean(axis=0) - 50).sum() / 150
    assert position == pytest.approx(900 * 224 / 1801, abs=0.04)


def claiming(data: bytes, width: int, height: int) -> bytes:
    """The same JPEG with another size in its header."""
    start = data.index(b"\xff\xc0") + 5
    return data[:start] + struct.pack(">HH", height, width) + data[start + 4 :]


def damaged(data: bytes, mark: bytes, offset: int) -> bytes:
    place = data.index(mark) + offset
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def inserted(data: bytes, before: bytes, kind: bytes, payload: bytes) -> bytes:
    start = data.index(before) - 4
    return data[:start] + chunk(kind, payload) + data[start:]


def with_hole(data: bytes) -> bytes:
    """A fifth of the bytes, in the middle, set to zero."""
    length = len(data) // 5
    return data[: 2 * length] + bytes(length) + data[3 * length :]


JPEG, PNG = MODES["jpeg grey"][0], MODES["png 8 bit grey"][0]
GRAIN = Image.effect_noise((400, 400), 80)
FINE = encoded(GRAIN, "JPEG", quality=100)
THUMBNAIL = encoded(GRAIN, "JPEG", quality=100, comment=JPEG)
BOMB = b"Comment\0\0" + zlib.compress(bytes(2_000_000))
FLAT = Image.new("L", (64, 64), 7)
FRAMES = [GREY8.filter(ImageFilter.GaussianBlur(n)) for n in (1, 3)]
TWELVE_BITS = JPEG.replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc0\0\x0b\x0c")
BAD_EXIF = encoded(GREY8, "JPEG", exif=b"Exif\0\0garbage!")
ANIMATED = encoded(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:])
TRANSPARENT = Image.merge("LA", [GREY8, Image.new("L", GREY8.size)])
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
NO_END = "JPEG is truncated: it has no end marker"
NO_IEND = "PNG is truncated: it has no IEND chunk"
BAD_CHECKSUM = "PNG cannot be decoded: broken PNG file (bad header checksum in "
TOO_LARGE = "PNG cannot be decoded: Decompressed data too large"
BAD = {  # name: file, reason
    "empty": (b"", "empty file of 0 bytes; expected JPEG, PNG or DICOM"),
    "text": (b"<html>404 not found</html>\r\n", "text file; expected JPEG, PNG or DICOM"),
    "binary": (bytes(300), "unknown format beginning with bytes 00 00 00 00; expected JPEG, PNG or DICOM"),
    "gif": (encoded(GREY8, "GIF"), "GIF file; expected JPEG, PNG or DICOM"),
    "bmp": (encoded(GREY8, "BMP"), "BMP file; expected JPEG, PNG or DICOM"),
    "tiff": (encoded(GREY8, "TIFF"), "TIFF file; expected JPEG, PNG or DICOM"),
    "webp": (encoded(GREY8, "WEBP"), "WebP file; expected JPEG, PNG or DICOM"),
    "jpeg 2000": (encoded(GREY8, "JPEG2000"), "JPEG 2000 file; expected JPEG, PNG or DICOM"),
    "git lfs": (LFS_POINTER, "Git LFS pointer in place of the file; expected JPEG, PNG or DICOM"),
    "dicom without its prefix": (
        b"\x08\0\x05\0CS\x0a\0ISO_IR 100",
        "DICOM without the prefix of Part 10 in a file; expected JPEG, PNG or DICOM",
    ),
    "jpeg, half": (JPEG[: len(JPEG) // 2], NO_END),
    "jpeg, last byte lost": (JPEG[:-1], NO_END),
    "jpeg, rest never downloaded": (FINE[:-9000] + bytes(9000), NO_END),
    "jpeg, rest lost behind a thumbnail": (THUMBNAIL[:-9000] + bytes(9000), NO_END),
    **{
        f"jpeg with a hole, {name}": (with_hole(data), "JPEG cannot be decoded: Corrupt JPEG data: ")
        for name, data in {
            "grey": FINE,
            "colour": encoded(GRAIN.convert("RGB"), "JPEG", quality=90),
            "CMYK": encoded(GRAIN.convert("CMYK"), "JPEG", quality=90),
            "progressive": encoded(GRAIN, "JPEG", quality=90, progressive=True),
            "restart markers": encoded(GRAIN, "JPEG", quality=90, restart_marker_rows=1),
        }.items()
    },
    "jpeg, a tenth cut out": (FINE[: len(FINE) // 2] + FINE[len(FINE) * 6 // 10 :], "JPEG cannot be decoded: Corrupt "),
    "jpeg, no header": (JPEG[:20], "JPEG cannot be decoded: not identified by this driver"),
    "jpeg, 12 bits": (TWELVE_BITS, "JPEG cannot be decoded: cannot handle 12-bit layers"),
    "jpeg, broken EXIF": (BAD_EXIF, "JPEG cannot be decoded: not a TIFF file (header b'garbage!' not valid)"),
    "png, half": (PNG[: len(PNG) // 2], NO_IEND),
    "png, end lost": (PNG[:-12], NO_IEND),
    "png, half a checksum": (PNG[:-14], NO_IEND),
    "png, half behind a thumbnail": (inserted(PNG, b"IDAT", b"prVW", PNG)[: -len(PNG) // 2], "PNG cannot be decoded: "),
    "png, chunks lost behind a thumbnail": (inserted(PNG, b"IDAT", b"prVW", PNG)[:-12], "PNG cannot be decoded: trunc"),
    "png, last byte lost": (PNG[:-1], NO_IEND),
    "png, signature alone": (MAGIC, NO_IEND),
    "png, no chunk but the last": (MAGIC + chunk(b"IEND", b""), "PNG cannot be decoded: "),
    "png, no pixels": (MAGIC + chunk(b"IHDR", PNG[16:29]) + chunk(b"IEND", b""), "PNG has no pixel data"),
    "png, header damaged": (damaged(PNG, b"IHDR", 7), BAD_CHECKSUM + "b'IHDR')"),
    "png, pixels damaged": (damaged(PNG, b"IDAT", 500), BAD_CHECKSUM + "b'IDAT')"),
    "png, checksum damaged": (damaged(PNG, b"IEND", -5), BAD_CHECKSUM + "b'IDAT')"),
    "png, rows missing": (png(200, 150, 8, 0, bytes(150 * 100)), "PNG cannot be decoded: image file is truncated"),
    "png, unknown depth": (png(64, 64, 3, 0, bytes(64 * 64)), "PNG cannot be decoded: not identified by this driver"),
    "png, text bomb first": (inserted(PNG, b"IDAT", b"zTXt", BOMB), TOO_LARGE),
    "png, text bomb last": (inserted(PNG, b"IEND", b"zTXt", BOMB), TOO_LARGE),
    "png, animated": (ANIMATED, "animated PNG; expected a single image"),
    "1 x 1": (encoded(Image.new("L", (1, 1)), "PNG"), "1 x 1 pixels; expected at least 32 a side"),
    "one side short": (encoded(GREY8.resize((200, 31)), "JPEG"), "200 x 31 pixels; expected at least 32 a side"),
    "huge jpeg": (claiming(JPEG, 30_000, 30_000), "30000 x 30000 pixels; expected at most 200000000 in all"),
    "huge png": (png(30_000, 30_000, 8, 2, bytes(30_000)), "30000 x 30000 pixels; expected at most 200000000 in all"),
    "blank jpeg": (encoded(FLAT, "JPEG"), "blank: every pixel is 7"),
    "blank png": (encoded(FLAT, "PNG"), "blank: every pixel is 7"),
    "blank 16 bit png": (encoded(Image.fromarray(np.full((64, 64), 9, np.uint16)), "PNG"), "blank: every pixel is 9"),
    "wholly transparent": (encoded(TRANSPARENT, "PNG"), "blank: every pixel is 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_refused_with_its_reason(
    name: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    data, expected = BAD[name]
    path = tmp_path / "scan.jpeg"
    path.write_bytes(data)
    with pytest.raises(ImageRejected) as caught:
        images.read_image(path, 64)
    reason = str(caught.value)
    assert reason.startswith(expected)
    assert reason.isprintable()
    assert not any(part in reason for part in (str(tmp_path), "object at 0x"))
    assert not recwarn.list


def test_what_the_system_cannot_read_is_not_a_bad_image(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        images.read_image(tmp_path / "absent.png", 64)
    with pytest.raises(IsADirectoryError):
        images.read_image(tmp_path, 64)


def test_a_file_too_large_to_hold_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "disk.png"
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    with pytest.raises(ImageRejected, match=r"^file of 536870913 bytes; expected at most 536870912$"):
        images.read_image(path, 64)


def test_max_pixels_is_the_last_size_taken() -> None:
    assert images.decode(PNG, 64, max_pixels=200 * 150).width == 200
    with pytest.raises(ImageRejected, match="200 x 150 pixels; expected at most 29999 in all"):
        images.decode(PNG, 64, max_pixels=200 * 150 - 1)


def test_nothing_is_said_on_the_terminal_and_pillow_is_left_as_it_was(
    recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    limit = 89_478_485
    assert limit == Image.MAX_IMAGE_PIXELS  # above it, Pillow's own way of opening warns
    large = Image.new("L", (9600, 9600))
    large.paste(200, (0, 0, 4800, 9600))
    assert images.decode(encoded(large, "JPEG", quality=50), 64).width == 9600
    cut = bytes.fromhex("49492a0008000000") + struct.pack("<H", 3) + struct.pack("<HHII", 270, 2, 999, 900)
    for format_ in ("JPEG", "PNG"):  # EXIF that promises more than it has: the orientation is read, with a warning
        assert images.decode(encoded(GREY8, format_, exif=b"Exif\0\0" + cut), 64).width == 200
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")
    assert limit == Image.MAX_IMAGE_PIXELS


def test_threads_agree_and_leave_the_warning_filters_alone() -> None:
    files = [data for data, _ in MODES.values()]
    small = encoded(GREY8.resize((32, 32)), "JPEG")  # spends much of its time where the filters are swapped
    work = [*files, small] + [small] * 1500 + files
    expected = {data: images.decode(data, 32).pixels for data in [*files, small]}
    filters, interval = list(warnings.filters), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda data: images.decode(data, 32).pixels, work))
    finally:
        sys.setswitchinterval(interval)
    assert list(warnings.filters) == filters
    for data, pixels in zip(work, results, strict=True):
        np.testing.assert_array_equal(pixels, expected[data])


def survives(data: bytes) -> None:
    """Any bytes give pixels or a reason; anything else that is raised fails the test."""
    outcome: images.Radiograph | str
    try:
        outcome = images.decode(data, 32, max_pixels=500_000)
    except ImageRejected as error:
        outcome = str(error)
    if isinstance(outcome, str):
        assert outcome.isprintable()
        assert "object at" not in outcome
    else:
        assert (outcome.pixels.shape, outcome.pixels.dtype) == ((32, 32), np.uint8)


@given(st.sampled_from([b"", b"\xff\xd8\xff", MAGIC, JPEG[:200], PNG[:33]]), st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_random_bytes_never_crash(start: bytes, rest: bytes) -> None:
    survives(start + rest)


@given(st.sampled_from(sorted(MODES)), st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_files_never_crash(name: str, data: st.DataObject) -> None:
    file = bytearray(MODES[name][0])
    place = st.integers(0, len(file) - 1) | st.integers(0, 700)  # the headers are at the beginning
    for at, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=8)):
        file[at % len(file)] = value
    survives(bytes(file[: data.draw(st.integers(0, len(file)) | st.just(len(file)))]))


KINDS = [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"iCCP", b"zTXt", b"iTXt", b"tEXt", b"gAMA", b"pHYs", b"fcTL"]
HEADER = st.builds(
    lambda width, height, depth, colour, rest: struct.pack(">IIBB", width, height, depth, colour) + rest,
    *(st.integers(32, 70), st.integers(32, 70), st.sampled_from([1, 2, 4, 8, 16]), st.sampled_from([0, 2, 3, 4, 6])),
    st.sampled_from([b"\0\0\0", b"\0\0\1", b"\0\1\0"]),
)
PIXELS = st.builds(lambda row: zlib.compress(row * 2000), st.binary(min_size=1, max_size=40))
CHUNKS = st.lists(st.tuples(st.sampled_from(KINDS), st.binary(max_size=40) | PIXELS), max_size=4)


@given(HEADER, CHUNKS, PIXELS, CHUNKS)
@example(struct.pack(">IIBB", 40, 40, 8, 3) + bytes(3), [], zlib.compress(bytes(range(41)) * 40), [])  # no palette
@settings(max_examples=300, deadline=None)
def test_png_of_valid_chunks_with_any_content_never_crashes(
    header: bytes, before: list[tuple[bytes, bytes]], pixels: bytes, after: list[tuple[bytes, bytes]]
) -> None:
    chunks = [(b"IHDR", header), *before, (b"IDAT", pixels), *after, (b"IEND", b"")]
    survives(MAGIC + b"".join(chunk(*pair) for pair in chunks))
