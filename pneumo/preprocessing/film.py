"""One DICOM film: checked by its header, then decoded in bounded memory."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pneumo.errors import ImageRejected
from pneumo.preprocessing import dicom, greyscale
from pneumo.preprocessing.silence import silenced

if TYPE_CHECKING:
    from pydicom import Dataset

NARROWEST, WIDEST = 30, 2000  # mm, of a film's side: a premature child's chest to the longest detectors' films
STEEPEST = 2  # height of a pixel in its widths, or the inverse
WHOLE = 1e-3  # of a grey: more than float32 rounds away
LONGEST = 3  # height of a film in its widths, or the inverse
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", "YBR_PARTIAL_422")
_GREYS = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True)
class Film:
    """width, height: in pixels; aspect: height of a pixel in its widths. `grey` decodes."""

    dataset: "Dataset"
    width: int
    height: int
    aspect: float

    def grey(self) -> Image.Image:
        """0 black to 255 white, at full size and depth: mode L where no grey lies between two of its own, so that a
        film of 8 bits gives the pixels of its PNG; else mode F. Raises ImageRejected."""
        try:
            values = grey(self.dataset)
            whole = np.rint(values)
            return Image.fromarray(whole.astype(np.uint8) if np.abs(values - whole).max() < WHOLE else values)
        except ImageRejected:
            raise
        except Exception as error:  # each decoder raises what it likes
            raise ImageRejected(f"DICOM cannot be decoded: {dicom.reason(error)}") from None


def opened(data: bytes) -> Film:
    """A radiograph with its geometry checked and nothing decoded. Raises ImageRejected for what is none."""
    dataset = dicom.load(data, pixels=True)
    dicom.refuse_other_than_film(dataset)
    height, width = (_whole(dataset, key) for key in ("Rows", "Columns"))
    return Film(dataset, width, height, _aspect(dataset, width, height))


def grey(dataset: "Dataset") -> NDArray[np.float32]:
    """float32 [H, W], 0 black to 255 white, of any single image, film or not. Raises ImageRejected, or what pydicom
    raises."""
    _refuse_without_pixels(dataset)
    photometric = dicom.word(dataset, "PhotometricInterpretation")
    stored = _stored(dataset)
    if photometric in _GREYS:
        return greyscale.rendered(dataset, stored)
    if photometric == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        with silenced():
            stored = apply_color_lut(stored, dataset)
    white = np.float32(1 if stored.dtype == np.uint8 else 257)
    red, green, blue = (stored[..., band].astype(np.float32) / white for band in range(3))
    return np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue  # ITU-R 601-2


def _stored(dataset: "Dataset") -> NDArray[np.integer]:
    """[H, W] or, of colour, RGB [H, W, 3]."""
    from pydicom.pixels import pixel_array
    from pydicom.uid import RLELossless

    # Named, so that the pixels do not depend on which other decoders are installed. That of pylibjpeg for run lengths
    # panics on damaged ones, which is no Exception.
    syntax = dataset.file_meta.TransferSyntaxUID
    plugin = "pydicom" if syntax == RLELossless else "pylibjpeg" if syntax.is_compressed else ""
    with silenced():
        return pixel_array(dataset, index=0, decoding_plugin=plugin)


def _whole(dataset: "Dataset", keyword: str) -> int:
    given = dicom.numbers(dataset, keyword)
    if not given or given[0] < 1:
        raise ImageRejected(f"DICOM has no pixels: {keyword} is {'0' if given else 'missing'}")
    return int(given[0])


def _aspect(dataset: "Dataset", width: int, height: int) -> float:
    """Raises ImageRejected where no film can have this shape. Spacings of 0, which some files have, say nothing."""
    spacing = next((pair for key in ("PixelSpacing", "ImagerPixelSpacing") if (pair := _pair(dataset, key))), None)
    ratio = _pair(dataset, "PixelAspectRatio") or spacing or (1.0, 1.0)  # vertical, horizontal
    aspect = ratio[0] / ratio[1]
    if not 1 / STEEPEST <= aspect <= STEEPEST:
        raise ImageRejected(
            f"implausible geometry: pixels {aspect:.3g} times as high as wide; expected at most {STEEPEST}"
        )
    if not 1 / LONGEST <= height * aspect / width <= LONGEST:
        raise ImageRejected(
            f"implausible geometry: {width} x {height} pixels; expected sides of at most 1 to {LONGEST}"
        )
    sides = (width * spacing[1], height * spacing[0]) if spacing else (NARROWEST, NARROWEST)
    if min(sides) < NARROWEST or max(sides) > WIDEST:
        raise ImageRejected(
            f"implausible geometry: {sides[0]:.4g} x {sides[1]:.4g} mm; expected sides of {NARROWEST} to {WIDEST} mm"
        )
    return aspect


def _pair(dataset: "Dataset", keyword: str) -> tuple[float, float] | None:
    given = dicom.numbers(dataset, keyword)
    good = len(given) == 2 and all(np.isfinite(value) and value > 0 for value in given)
    return (given[0], given[1]) if good else None


def _refuse_without_pixels(dataset: "Dataset") -> None:
    """Raise ImageRejected where the header promises other pixels than the file can hold."""
    if "PixelData" not in dataset:
        floats = "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset
        raise ImageRejected("DICOM with floating-point pixels" if floats else "DICOM has no pixel data")
    photometric = dicom.word(dataset, "PhotometricInterpretation")
    if photometric not in (*_GREYS, *_COLOURS, "PALETTE COLOR"):
        raise ImageRejected("DICOM of an unknown photometric interpretation; expected grey, palette, RGB or YBR")
    samples, bits = _whole(dataset, "SamplesPerPixel"), _whole(dataset, "BitsAllocated")
    if bits not in (8, 16) or samples != (3 if photometric in _COLOURS else 1):
        raise ImageRejected(f"DICOM of {samples} x {bits} bits a pixel; expected 8 or 16, for each colour or one grey")
    rows, columns = _whole(dataset, "Rows"), _whole(dataset, "Columns")
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        raise ImageRejected("DICOM says no transfer syntax")
    element = dataset["PixelData"]
    if syntax.is_private or syntax.is_compressed != bool(element.is_undefined_length):
        raise ImageRejected("DICOM pixel data are not in the transfer syntax that the header names")
    expected = rows * columns * samples * bits // 8
    if photometric == "YBR_FULL_422" and not syntax.is_compressed:
        expected = expected * 2 // 3
    if not syntax.is_compressed and len(element.value) < expected:
        raise ImageRejected(f"DICOM is truncated: {len(element.value)} bytes of pixels; the header says {expected}")
    if syntax.is_compressed:
        _refuse_other_size(dataset, rows, columns, expected)


def _refuse_other_size(dataset: "Dataset", rows: int, columns: int, expected: int) -> None:
    """A compressed image has a size of its own, by which its decoder takes memory."""
    from libjpeg.utils import get_parameters as of_jpeg
    from openjpeg.utils import get_parameters as of_jpeg_2000
    from pydicom import uid
    from pydicom.encaps import get_frame

    with silenced():
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
        syntax = dataset.file_meta.TransferSyntaxUID
        if syntax == uid.RLELossless:
            _refuse_rle_bomb(frame, expected)
            return
        if syntax in uid.JPEG2000TransferSyntaxes:
            inside: Mapping[str, object] = of_jpeg_2000(frame)
        elif syntax in (*uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes):
            inside = of_jpeg(frame)
        else:
            raise ImageRejected(f"DICOM of a transfer syntax that is not read: {syntax.name}")
    if (inside["columns"], inside["rows"]) != (columns, rows):
        raise ImageRejected(
            f"DICOM of {columns} x {rows} pixels holds an image of {inside['columns']} x {inside['rows']}"
        )


def _refuse_rle_bomb(frame: bytes, expected: int) -> None:
    """Add up the runs (PS3.5 Annex G), of which two bytes can make 128."""
    count, *offsets = struct.unpack("<16L", frame[:64])
    for start, end in pairwise([*offsets[: min(count, 15)], len(frame)]):
        length, at = 0, start
        while at < end - 1 and length <= expected:
            run = frame[at]
            length += run + 1 if run < 128 else 257 - run if run > 128 else 0
            at += run + 2 if run < 128 else 2 if run > 128 else 1
        if length > expected:
            raise ImageRejected("DICOM: run lengths make more pixels than the header says")
