"""DICOM files made by hand."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

PLAIN = ExplicitVRLittleEndian


def dataset(pixels: np.ndarray | None, syntax: str = PLAIN, **elements: Any) -> Dataset:
    """A chest film of `pixels`, [H, W] or RGB [H, W, 3]; `elements` are added, or with None left out."""
    meta = FileMetaDataset()
    compressed = syntax.startswith("1.2.840.10008.1.2.4") or syntax == "1.2.840.10008.1.2.5"
    meta.TransferSyntaxUID = UID(PLAIN if compressed else syntax)
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["pneumo"])
    made = Dataset()
    made.file_meta = meta
    made.SOPClassUID = ComputedRadiographyImageStorage
    made.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    made.Modality, made.BodyPartExamined, made.ViewPosition = "CR", "CHEST", "PA"
    if pixels is not None:
        made.Rows, made.Columns = pixels.shape[:2]
        made.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
        made.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
        if pixels.ndim == 3:
            made.PlanarConfiguration = 0
        made.BitsAllocated = made.BitsStored = pixels.dtype.itemsize * 8
        made.HighBit = made.BitsStored - 1
        made.PixelRepresentation = int(pixels.dtype.kind == "i")
        made.PixelData = pixels.tobytes()
        made["PixelData"].VR = "OW" if made.BitsAllocated == 16 else "OB"
    for keyword, value in elements.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    if compressed:
        made.compress(syntax, generate_instance_uid=False)
    return made


def film(pixels: np.ndarray | None, syntax: str = PLAIN, **elements: Any) -> bytes:
    file = io.BytesIO()
    dataset(pixels, syntax, **elements).save_as(file, enforce_file_format=True)
    return file.getvalue()


def item(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def lut(first: int, bits: int, entries: np.ndarray) -> Dataset:
    """One item of a Modality LUT or VOI LUT Sequence."""
    made = item(LUTDescriptor=[len(entries) % 65_536, first, bits], LUTData=entries.astype("<u2").tobytes())
    made["LUTDescriptor"].VR, made["LUTData"].VR = ("SS" if first < 0 else "US"), "OW"
    return made


def bundled(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert path is not None
    return Path(path).read_bytes()


RAMP = np.tile(np.arange(0, 4096, 64, dtype=np.uint16), (64, 1))  # 64 columns: 0, 64 .. 4032
DOWN = np.arange(255, -1, -1, dtype=np.uint16)
