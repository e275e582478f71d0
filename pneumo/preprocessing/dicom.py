"""DICOM files (Part 10): opened with nothing but the elements that are needed, and told from what is no film.

Names, dates, identifiers of studies, institutions and people are not among TAGS, so they are never read and can reach
neither a table nor an error. What is read as text is matched to fixed words. PatientID is the one exception: it
becomes a keyed hash (`patients`), and nothing else may be done with it.
"""

import io
import logging
import zlib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, BinaryIO

from pneumo.data.listing import ASIDE
from pneumo.errors import ImageRejected, MissingExtra
from pneumo.preprocessing.silence import silenced

if TYPE_CHECKING:
    from pydicom import Dataset

MAX_INFLATED = 512 * 1024**2  # bytes that a deflated file may become
ABOUT = [  # read before the pixels
    "SOPClassUID", "Modality", "PresentationIntentType", "NumberOfFrames", "PatientID", "PatientSex", "PatientAge",
    "BodyPartExamined", "ViewPosition", "ViewCodeSequence", "SeriesDescription", "ProtocolName", "PatientOrientation",
]  # fmt: skip
PIXELS = [  # and with them, instead of PatientID
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "Rows", "Columns", "PixelSpacing",
    "ImagerPixelSpacing", "PixelAspectRatio", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept",
    "VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction", "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData", "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData",
    "FloatPixelData", "DoubleFloatPixelData",
]  # fmt: skip
# PS3.3 C.7.3.1.1.1; DR is what some detectors write for DX.
RADIOGRAPHS = ("CR", "DX", "DR", "RG")
_STORAGE = {  # PS3.4 B.5: where a film may be, of which class; secondary captures are what most public sets are
    "1.2.840.10008.5.1.4.1.1.1": "CR",
    "1.2.840.10008.5.1.4.1.1.1.1": "DX",
    "1.2.840.10008.5.1.4.1.1.7": "",
    "1.2.840.10008.5.1.4.1.1.7.2": "",
    "1.2.840.10008.5.1.4.1.1.7.3": "",
    "1.2.840.10008.5.1.4.1.1.7.4": "",
}
_RAW = "1.2.840.10008.5.1.4.1.1.1.1.1"  # DX for processing
_LIBRARIES = ("pydicom", "pylibjpeg", "libjpeg", "openjpeg")


def is_dicom(start: bytes) -> bool:
    """Whether a file that begins with `start`, of 132 bytes or more, has the prefix of Part 10 (PS3.10, 7.1)."""
    return start[128:132] == b"DICM"


def load(source: bytes | Path | BinaryIO, *, pixels: bool) -> "Dataset":
    """The elements ABOUT, or with `pixels` those and PIXELS without PatientID. An open file is read from its start.

    Raises ImageRejected for a file that cannot be read, and MissingExtra without the libraries.
    """
    pydicom = _pydicom()
    tags = [tag for tag in ABOUT if tag != "PatientID"] + PIXELS if pixels else ABOUT
    if isinstance(source, Path):
        source = source.open("rb")
    with source if not isinstance(source, bytes) else io.BytesIO(source) as file:
        try:
            with silenced():
                _refuse_deflate_bomb(file)
                return pydicom.dcmread(file, stop_before_pixels=not pixels, specific_tags=tags)
        except ImageRejected:
            raise
        except Exception as error:  # struct.error, zlib.error, RecursionError, ...: there is no common base
            raise ImageRejected(f"DICOM file cannot be read: {reason(error)}") from None


def reason(error: Exception) -> str:
    """One printable line, short."""
    text = " ".join(str(error).split()).encode("ascii", "replace").decode()
    return text[:150] or type(error).__name__


def word(dataset: "Dataset", keyword: str) -> str:
    """An element as text of one line; empty where it is absent or broken."""
    try:
        with silenced():
            value = dataset.get(keyword)
            return " ".join(str("" if value is None else value).split())
    except Exception:
        return ""


def numbers(dataset: "Dataset", keyword: str) -> list[float]:
    """The values of an element; none where it is absent. Raises ImageRejected if they are no numbers."""
    try:
        with silenced():
            value = dataset.get(keyword)
            if value is None or value == "":
                return []
            return [float(item) for item in ([value] if isinstance(value, int | float | str) else value)]
    except Exception:
        raise ImageRejected(f"DICOM: {keyword} is not a number") from None


def refuse_other_than_film(dataset: "Dataset") -> None:
    """Raise ImageRejected, set aside by design, unless the header is one of a single radiograph for display."""
    from pydicom.uid import UID, UID_dictionary

    uid, modality = word(dataset, "SOPClassUID"), word(dataset, "Modality").upper()
    name = UID(uid).name if uid in UID_dictionary else "unknown kind of object"
    if uid == _RAW or word(dataset, "PresentationIntentType").upper() == "FOR PROCESSING":
        raise ImageRejected(f"{ASIDE}raw detector values (for processing); expected a film for presentation")
    if uid not in _STORAGE or (modality or _STORAGE[uid]) not in RADIOGRAPHS:
        kind = f"modality {modality}" if modality in _modalities() else "no known modality"
        raise ImageRejected(f"{ASIDE}not a radiograph: {name}, {kind}; expected one of {', '.join(RADIOGRAPHS)}")
    frames = numbers(dataset, "NumberOfFrames")
    if frames and frames[0] > 1:
        raise ImageRejected(f"{ASIDE}{frames[0]:.0f} frames; expected one")


def _modalities() -> set[str]:
    """The defined terms, PS3.16 CID 33: other text may be anything."""
    from pydicom.sr.codedict import codes

    return {getattr(codes.cid33, key).value for key in codes.cid33.dir()} | {"SEG", "SR", "DR"}


def _refuse_deflate_bomb(file: BinaryIO) -> None:
    """pydicom inflates without a limit."""
    from pydicom.filereader import read_dataset, read_preamble
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    read_preamble(file, False)
    meta = read_dataset(file, False, True, stop_when=lambda tag, _, __: tag.group != 2)
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), MAX_INFLATED + 1)
        if len(inflated) > MAX_INFLATED:
            raise ImageRejected(f"deflated DICOM of more than {MAX_INFLATED} bytes")
    file.seek(0)


def _pydicom() -> ModuleType:
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"the images are DICOM files, and {missing[0]} is not installed, which reads them: "
            "pip install -e '.[dicom]'"
        )
    pydicom = import_module("pydicom")
    logging.getLogger("pydicom").disabled = True  # its warnings quote values
    return pydicom
