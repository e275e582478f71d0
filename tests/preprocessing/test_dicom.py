"""DICOM pixels by value."""

import io
from pathlib import Path

import numpy as np
import pytest
from dicoms import DOWN, RAMP, bundled, dataset, film, lut
from PIL import Image
from pydicom.pixels import apply_voi_lut
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from pneumo.preprocessing import dicom, images
from pneumo.preprocessing import film as films

SIGNED = (RAMP.astype(np.int32) - 2048).astype(np.int16)
STEPS = np.arange(64)
PADDED = RAMP.copy()
PADDED[:, :16] = 4095


def shown(data: bytes) -> np.ndarray:
    """The grey values at full size, before they are rounded: one row, since all rows are alike."""
    grey = films.grey(films.opened(data).dataset)
    assert (grey == grey[0]).all()
    return grey[0]


def linear(x: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.2.1, word for word."""
    low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    inside = ((x - (center - 0.5)) / (width - 1) + 0.5) * 255
    return np.where(x <= low, 0, np.where(x > high, 255, inside))


X = RAMP[0].astype(float)
FULL = X / 4032 * 255
CURVE = (np.arange(4096) ** 2 / 4096).astype(np.uint16)
GREYS = {  # name: file, grey values that it shows
    "no window: the full range": (film(RAMP), FULL),
    "MONOCHROME1": (film(RAMP, PhotometricInterpretation="MONOCHROME1"), 255 - FULL),
    "window": (film(RAMP, WindowCenter="2048", WindowWidth="1000"), linear(X, 2048, 1000)),
    "window of MONOCHROME1": (
        film(RAMP, WindowCenter="1000", WindowWidth="500", PhotometricInterpretation="MONOCHROME1"),
        255 - linear(X, 1000, 500),
    ),
    "the first of two windows": (
        film(RAMP, WindowCenter=["2048", "100"], WindowWidth=["1000", "10"]),
        linear(X, 2048, 1000),
    ),
    "linear exact": (
        film(RAMP, WindowCenter="2048", WindowWidth="1000", VOILUTFunction="LINEAR_EXACT"),
        np.clip((X - 2048) / 1000 + 0.5, 0, 1) * 255,
    ),
    "sigmoid": (
        film(RAMP, WindowCenter="2048", WindowWidth="1000", VOILUTFunction="SIGMOID"),
        255 / (1 + np.exp(-4 * (X - 2048) / 1000)),
    ),
    "window of width 0": (film(RAMP, WindowCenter="2048", WindowWidth="0"), FULL),
    "window that sees nothing": (film(RAMP, WindowCenter="9000", WindowWidth="10"), FULL),
    "window without a width": (film(RAMP, WindowCenter="2048"), FULL),
    "signed, rescaled, window in rescaled values": (
        film(SIGNED, RescaleSlope="2", RescaleIntercept="100", WindowCenter="100", WindowWidth="2000"),
        linear(SIGNED[0] * 2.0 + 100, 100, 2000),
    ),
    "negative slope": (film(RAMP, RescaleSlope="-1", RescaleIntercept="4095"), 255 - FULL),
    "padding is black and not in the range": (
        film(PADDED, PixelPaddingValue=4095),
        np.where(STEPS < 16, 0, (X - 1024) / (4032 - 1024) * 255),
    ),
    "padding of MONOCHROME1 is black, too": (
        film(PADDED, PixelPaddingValue=4095, PhotometricInterpretation="MONOCHROME1"),
        np.where(STEPS < 16, 0, (4032 - X) / (4032 - 1024) * 255),
    ),
    "padding range": (
        film(RAMP, PixelPaddingValue=0, PixelPaddingRangeLimit=960),
        np.where(STEPS < 16, 0, (X - 1024) / (4032 - 1024) * 255),
    ),
    "modality LUT": (
        film(SIGNED, ModalityLUTSequence=[lut(-2048, 12, CURVE)]),
        CURVE[RAMP[0]] / CURVE[4032] * 255,
    ),
    "VOI LUT of 8 bits for 12": (
        film(RAMP, VOILUTSequence=[lut(0, 8, CURVE // 16)], WindowCenter="5", WindowWidth="2"),
        (CURVE // 16)[RAMP[0]],
    ),
    "VOI LUT shorter than the values": (
        film(RAMP, VOILUTSequence=[lut(1024, 8, DOWN)]),
        255 - np.clip(X - 1024, 0, 255),
    ),
    "8 bits": (film(np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))), STEPS * 4 / 252 * 255),
    "colour": (
        film(np.repeat(np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))[..., None], 3, 2)),
        STEPS * 4.0,
    ),
    "red alone": (
        film(np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))[..., None] * np.array([1, 0, 0], np.uint8)),
        STEPS * 4 * 0.299,
    ),
    "big endian": (
        film(RAMP.astype(">u2"), ExplicitVRBigEndian, WindowCenter="2048", WindowWidth="1000"),
        linear(X, 2048, 1000),
    ),
    "implicit": (film(RAMP, ImplicitVRLittleEndian), FULL),
    "deflated": (film(RAMP, DeflatedExplicitVRLittleEndian), FULL),
    "run lengths": (film(RAMP, RLELossless), FULL),
    "JPEG 2000": (film(RAMP, JPEG2000Lossless), FULL),
}


@pytest.mark.parametrize("name", GREYS)
def test_grey_values_are_those_of_the_standard(name: str) -> None:
    data, expected = GREYS[name]
    np.testing.assert_allclose(shown(data), expected, atol=0.02)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_agree_with_pydicom(function: str) -> None:
    made = dataset(RAMP, WindowCenter="1500", WindowWidth="900", VOILUTFunction=function, BitsStored=12)
    np.testing.assert_allclose(films.grey(made)[0], apply_voi_lut(RAMP, made)[0] / 4095 * 255, atol=0.02)


def test_depth_is_kept_until_after_resizing() -> None:
    """Of twelve bits in a window of 64 values, 8 bits before resizing would leave four greys a step."""
    ramp = np.tile(np.arange(1000, 1064, 0.25).astype(np.uint16), (256, 1))
    pixels = images.decode(film(ramp, WindowCenter="1032", WindowWidth="64"), 64).pixels
    reference = Image.fromarray(linear(ramp.astype(float), 1032, 64).astype(np.float32)).resize(
        (64, 64), Image.Resampling.LANCZOS
    )
    assert np.abs(pixels - np.clip(np.asarray(reference), 0, 255)).max() <= 0.51


def test_a_film_and_its_negative_are_complements(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 4096, (80, 60), dtype=np.uint16)
    positive, negative = (
        images.decode(film(noise, PhotometricInterpretation=f"MONOCHROME{n}"), 40).pixels.astype(int) for n in (2, 1)
    )
    assert np.abs(positive + negative - 255).max() <= 1


def test_a_dicom_film_is_its_png() -> None:
    """8 bits that use their whole range, by content and not by suffix."""
    noise = np.random.default_rng(0).integers(0, 256, (80, 60), dtype=np.uint8)
    noise[0, :2] = 0, 255
    png = io.BytesIO()
    Image.fromarray(noise).save(png, "PNG")
    for fit in ("stretch", "pad"):
        pixels = [images.decode(data, 40, fit=fit).pixels for data in (film(noise), png.getvalue())]
        np.testing.assert_array_equal(*pixels)


def wide(columns: int, rows: int, **elements: object) -> bytes:
    return film(np.full((rows, columns), 200, np.uint8) * (np.arange(columns) > 0).astype(np.uint8), **elements)


@pytest.mark.parametrize(
    ("columns", "rows", "elements", "across", "down"),
    [
        (64, 64, {}, 32, 32),
        (64, 32, {}, 32, 16),
        (32, 64, {}, 16, 32),
        (64, 64, {"PixelSpacing": ["1", "2"]}, 32, 16),
        (64, 64, {"ImagerPixelSpacing": ["2", "1"]}, 16, 32),
        (64, 64, {"PixelAspectRatio": ["1", "2"]}, 32, 16),
        (64, 64, {"PixelSpacing": ["0", "0"]}, 32, 32),
    ],
)
def test_pad_keeps_the_shape_that_the_film_has_in_millimetres(columns, rows, elements, across, down) -> None:
    pixels = images.decode(wide(columns, rows, **elements), 32, fit="pad").pixels
    lit = pixels > 100
    assert abs(lit.any(axis=0).sum() - across) <= 1
    assert lit.any(axis=1).sum() == down
    assert (images.decode(wide(columns, rows, **elements), 32).pixels[:, 8:] > 100).all()


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("MR_small.dcm", "MR_small.dcm"),
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("MR_small_implicit.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_rgb_rle.dcm"),
        ("SC_rgb_dcmtk_+eb+cy+s2.dcm", "SC_rgb_rle.dcm"),
        ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb_rle.dcm"),
        ("SC_rgb_gdcm_KY.dcm", "SC_rgb_rle.dcm"),
    ],
)
def test_every_transfer_syntax_gives_the_same_picture(name: str, similar: str) -> None:
    ours, other = (films.grey(dicom.load(bundled(each), pixels=True)) for each in (name, similar))
    assert np.abs(ours - other).mean() < (0.01 if name.startswith("MR") else 2)


@pytest.mark.parametrize(
    "name",
    [
        "image_dfl.dcm",
        "examples_palette.dcm",
        "CT_small.dcm",
        "JPGExtended.dcm",
        "JPEGLSNearLossless_16.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
    ],
)
def test_other_images_are_decoded_when_asked_for(name: str) -> None:
    grey = films.grey(dicom.load(bundled(name), pixels=True))
    assert grey.ndim == 2
    assert 0 <= grey.min() < 100 < grey.max() <= 255.01
