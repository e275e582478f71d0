"""Pixels of PNG and JPEG by value: modes, depths, orientation, padding, shrinking."""

import hashlib
import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import GREY8, MODES, PNG, encoded, inserted, picture
from PIL import Image
from PIL.ExifTags import Base

from pneumo.preprocessing import images


def reference(grey: np.ndarray, type_: type = np.uint8) -> np.ndarray:
    """The slow and plain way, from full-size grey pixels in 0 to 255; exact with type_ float32."""
    image = Image.fromarray((grey.round() if type_ is np.uint8 else grey).astype(type_))
    return np.clip(np.asarray(image.resize((64, 64), Image.Resampling.LANCZOS), dtype=float), 0, 255)


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
