"""Stored values of a DICOM image -> grey values as a radiologist is shown them: DICOM PS3.4 Annex N.2.

stored values -> modality LUT or rescale -> VOI LUT or window -> polarity
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pneumo.errors import ImageRejected
from pneumo.preprocessing import dicom

if TYPE_CHECKING:
    from pydicom import Dataset

Values = NDArray[np.float32]
Stored = NDArray[np.integer]


def rendered(dataset: "Dataset", stored: Stored) -> Values:
    """float32 [H, W], 0 black to 255 white. stored: [H, W] of a MONOCHROME1 or MONOCHROME2 image.

    Of several windows or VOI LUTs the first counts. Where there is none, or one that would leave a single grey, the
    range of the values does, without the padding, which is shown black. A Presentation LUT Shape is not needed: it
    repeats what the photometric interpretation says (PS3.3 C.11.6.1.2).
    """
    padding = _padding(dataset, stored)
    if padding.all():
        raise ImageRejected("blank: every pixel is padding")
    values = _modality(dataset, stored)
    if not np.isfinite(values).all():
        raise ImageRejected("DICOM: the rescaled values are not finite")
    shown = _voi(dataset, values)
    if shown is None or np.ptp(shown[~padding]) == 0:
        shown = _full_range(values, ~padding)
    if dicom.word(dataset, "PhotometricInterpretation") == "MONOCHROME1":
        shown = 1 - shown
    shown[padding] = 0
    return shown * np.float32(255)


def _padding(dataset: "Dataset", stored: Stored) -> NDArray[np.bool_]:
    """PS3.3 C.7.5.1.1.2: one value, or all from it to the range limit, in either order."""
    value, limit = (dicom.numbers(dataset, key)[:1] for key in ("PixelPaddingValue", "PixelPaddingRangeLimit"))
    if not value:
        return np.zeros(stored.shape, dtype=bool)
    # Some writers give the value without the sign that the pixels have: the same bits count.
    ends = np.array([int(end) for end in (*value, *limit)], dtype=np.int64).astype(stored.dtype)
    return (stored >= ends.min()) & (stored <= ends.max())


def _modality(dataset: "Dataset", stored: Stored) -> Values:
    """PS3.3 C.11.1: a table, or a line."""
    if sequence := dataset.get("ModalityLUTSequence"):
        return _looked_up(dataset, sequence[0], stored)[0]
    slope, intercept = (
        _number(dataset, key, default) for key, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
    )
    return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)


def _voi(dataset: "Dataset", values: Values) -> Values | None:
    """PS3.3 C.11.2, in [0, 1]; None where no usable table or window is given."""
    if sequence := dataset.get("VOILUTSequence"):
        table, white = _looked_up(dataset, sequence[0], values)
        return table / np.float32(white)
    centers, widths = dicom.numbers(dataset, "WindowCenter"), dicom.numbers(dataset, "WindowWidth")
    function = dicom.word(dataset, "VOILUTFunction").upper()
    if not centers or not widths or not np.isfinite([centers[0], widths[0]]).all():
        return None
    if widths[0] <= (0 if function in ("SIGMOID", "LINEAR_EXACT") else 1):
        return None
    return _WINDOWS.get(function, _linear)(values, centers[0], widths[0])


def _linear(values: Values, center: float, width: float) -> Values:
    """PS3.3 C.11.2.1.2.1."""
    return _linear_exact(values, center - 0.5, width - 1)


def _linear_exact(values: Values, center: float, width: float) -> Values:
    """PS3.3 C.11.2.1.3.2."""
    return np.clip((values - np.float32(center)) / np.float32(width) + np.float32(0.5), 0, 1)


def _sigmoid(values: Values, center: float, width: float) -> Values:
    """PS3.3 C.11.2.1.3.1."""
    with np.errstate(over="ignore"):  # exp of a large number: infinity, and the result is 0, as it should be
        return 1 / (1 + np.exp(np.float32(-4 / width) * (values - np.float32(center))))


_WINDOWS: dict[str, Callable[[Values, float, float], Values]] = {"LINEAR_EXACT": _linear_exact, "SIGMOID": _sigmoid}


def _full_range(values: Values, counted: NDArray[np.bool_]) -> Values:
    lowest, highest = values[counted].min(), values[counted].max()
    if lowest == highest:
        raise ImageRejected(f"blank: every pixel is {lowest:g}")
    return np.clip((values - lowest) / (highest - lowest), 0, 1)


def _looked_up(dataset: "Dataset", item: "Dataset", values: Values | Stored) -> tuple[Values, int]:
    """The table's entry for each value, and the table's white. pydicom's own wraps values beyond a table of 8 bits.

    LUT Descriptor (PS3.3 C.11.1.1.1): number of entries (0 is 65,536), the value of the first, bits of an entry.
    """
    descriptor = dicom.numbers(item, "LUTDescriptor")
    if len(descriptor) != 3 or not 1 <= descriptor[2] <= 16:
        raise ImageRejected("DICOM: a LUT Descriptor is not three numbers with 16 bits at most")
    count, first, bits = int(descriptor[0]) or 65_536, descriptor[1], int(descriptor[2])
    table = _entries(item.get("LUTData"), count, dataset.original_encoding[1])
    place = np.clip(np.rint(values) - first, 0, count - 1).astype(np.intp)
    return table[place], 2**bits - 1


def _entries(data: object, count: int, little_endian: bool | None) -> Values:
    if isinstance(data, bytes):
        wide = ("<" if little_endian in (True, None) else ">") + "u2"
        found = np.frombuffer(data, np.uint8 if len(data) in (count, count + count % 2) else wide)
    else:
        found = np.atleast_1d(np.asarray(data if data is not None else [], dtype=np.int64)) & 0xFFFF
    if len(found) < count:
        raise ImageRejected(f"DICOM: a LUT of {len(found)} entries; its descriptor says {count}")
    return found[:count].astype(np.float32)


def _number(dataset: "Dataset", keyword: str, default: float) -> float:
    given = dicom.numbers(dataset, keyword)
    return given[0] if given else default
