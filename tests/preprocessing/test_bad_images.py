"""PNG and JPEG that cannot be used: each is refused with its reason, and no bytes do harm."""

import struct
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pictures import GREY8, JPEG, MAGIC, MODES, PNG, chunk, encoded, inserted, png
from PIL import Image, ImageFilter

from pneumo.errors import ImageRejected
from pneumo.preprocessing import images


def claiming(data: bytes, width: int, height: int) -> bytes:
    """The same JPEG with another size in its header."""
    start = data.index(b"\xff\xc0") + 5
    return data[:start] + struct.pack(">HH", height, width) + data[start + 4 :]


def damaged(data: bytes, mark: bytes, offset: int) -> bytes:
    place = data.index(mark) + offset
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def with_hole(data: bytes) -> bytes:
    """A fifth of the bytes, in the middle, set to zero."""
    length = len(data) // 5
    return data[: 2 * length] + bytes(length) + data[3 * length :]


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
