"""DICOM files that cannot be used: each is refused with its reason, if possible before it is decoded."""

import zlib

import numpy as np
import pytest
from dicoms import DOWN, RAMP, bundled, dataset, film, lut
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForProcessing,
    JPEG2000Lossless,
    RLELossless,
)

from pneumo.errors import ImageRejected, MissingExtra
from pneumo.preprocessing import dicom, images
from pneumo.preprocessing import film as films


def changed(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1
    return data.replace(old, new)


def claiming(data: bytes, rows: int, columns: int) -> bytes:
    """Another size in Rows and Columns, (0028,0010) and (0028,0011), than the pixels have."""
    for tag, before, after in ((b"\x10\0", 64, rows), (b"\x11\0", 64, columns)):
        head = b"\x28\0" + tag + b"US\x02\0"
        data = changed(data, head + before.to_bytes(2, "little"), head + after.to_bytes(2, "little"))
    return data


FILM = film(RAMP)
SHORT = lut(0, 8, DOWN)
SHORT.LUTData = bytes(8)
ASIDE = "set aside: "
TRUNCATED = "DICOM is truncated: 4096 bytes of pixels; the header says 8192"
BAD = {  # name: file, reason
    "CT": (bundled("CT_small.dcm"), ASIDE + "not a radiograph: CT Image Storage, modality CT; expected one of CR, DX"),
    "MR, cut short": (bundled("MR_truncated.dcm"), ASIDE + "not a radiograph: MR Image Storage"),
    "plan": (bundled("rtplan.dcm"), ASIDE + "not a radiograph: RT Plan Storage, modality RTPLAN"),
    "dose": (bundled("rtdose_1frame.dcm"), ASIDE + "not a radiograph: RT Dose Storage"),
    "no prefix": (bundled("no_meta.dcm"), "unknown format beginning with bytes"),
    "no prefix, as old files are": (film(RAMP)[132:][200:], "unknown format"),
    "mammogram as CR": (
        film(RAMP, Modality="MG"),
        ASIDE + "not a radiograph: Computed Radiography Image Storage, modality MG",
    ),
    "modality that is a name": (
        film(RAMP, Modality="SMITH"),
        ASIDE + "not a radiograph: Computed Radiography Image Storage, no known",
    ),
    "for processing": (film(RAMP, SOPClassUID=DigitalXRayImageStorageForProcessing), ASIDE + "raw detector values"),
    "many frames": (film(RAMP, NumberOfFrames="1000000000"), ASIDE + "1000000000 frames; expected one"),
    "no pixels": (
        film(None, Rows=64, Columns=64, SamplesPerPixel=1, BitsAllocated=8, PhotometricInterpretation="MONOCHROME2"),
        "DICOM has no pixel data",
    ),
    "no size": (film(None), "DICOM has no pixels: Rows is missing"),
    "half": (FILM[: len(FILM) - 4096], TRUNCATED),
    "rows of a bomb": (claiming(FILM, 65535, 65535), "65535 x 65535 pixels; expected at most 200000000 in all"),
    "more rows than bytes": (
        claiming(FILM, 128, 64),
        "DICOM is truncated: 8192 bytes of pixels; the header says 16384",
    ),
    "another size inside": (
        claiming(film(RAMP, JPEG2000Lossless), 128, 128),
        "DICOM of 128 x 128 pixels holds an image of 64 x 64",
    ),
    "JPEG syntax, plain pixels": (changed(FILM, b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.4.")[:-8192], "DICOM"),
    "one pixel high": (film(RAMP[:1]), "implausible geometry: 64 x 1 pixels"),
    "flat pixels": (film(RAMP, PixelSpacing=["1", "9"]), "implausible geometry: pixels 0.111 times as high as wide"),
    "ten metres": (film(RAMP, PixelSpacing=["99", "99"]), "implausible geometry: 6336 x 6336 mm"),
    "blank": (film(np.full((64, 64), 7, np.uint16)), "blank: every pixel is 7"),
    "all padding": (film(np.full((64, 64), 7, np.uint16), PixelPaddingValue=7), "blank: every pixel is padding"),
    "slope of nothing": (film(RAMP, RescaleSlope="0", RescaleIntercept="5"), "blank: every pixel is 5"),
    "LUT too short": (film(RAMP, VOILUTSequence=[SHORT]), "DICOM: a LUT of 4 entries; its descriptor says 256"),
    "32 bits": (film(RAMP, BitsAllocated=32), "DICOM of 1 x 32 bits a pixel; expected 8 or 16"),
    "prefix alone": (bytes(128) + b"DICM", ASIDE + "not a radiograph: unknown kind of object, no known modality"),
    "prefix and noise": (bytes(128) + b"DICM" + bytes(range(200)), ""),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_refused_with_its_reason(
    name: str, recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    data, expected = BAD[name]
    with pytest.raises(ImageRejected) as caught:
        images.decode(data, 64)
    reason = str(caught.value)
    assert reason.startswith(expected)
    assert reason.isprintable()
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_a_deflated_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    data = film(RAMP, DeflatedExplicitVRLittleEndian)
    monkeypatch.setattr(dicom, "MAX_INFLATED", 1000)
    with pytest.raises(ImageRejected, match=r"^deflated DICOM of more than 1000 bytes$"):
        images.decode(data, 64)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    assert len(packer.compress(bytes(10**7)) + packer.flush()) < 10**5, "what the limit is there for"


def test_a_bomb_of_run_lengths_is_not_unpacked() -> None:
    made = dataset(RAMP, RLELossless)
    runs = bytes([129, 0]) * 10_000  # each 128 zeros
    frame = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56) + runs
    with pytest.raises(ImageRejected, match="run lengths make more pixels than the header says"):
        films._refuse_rle_bomb(frame, made.Rows * made.Columns * 2)


def test_without_the_libraries_one_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom, "find_spec", lambda name: None if name == "openjpeg" else object())
    with pytest.raises(MissingExtra, match=r"openjpeg is not installed.*pip install -e '\.\[dicom\]'"):
        images.decode(FILM, 64)


JPEG = film(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8))
FILES = [
    FILM,
    JPEG,
    *(film(RAMP, syntax) for syntax in (RLELossless, JPEG2000Lossless, DeflatedExplicitVRLittleEndian)),
    film(RAMP, ModalityLUTSequence=[lut(0, 12, np.arange(4096, dtype=np.uint16))]),
    film(RAMP, WindowCenter="2048", WindowWidth="1000"),
]


@given(st.sampled_from(FILES), st.data())
@settings(max_examples=100, deadline=None)
def test_damaged_files_never_crash(file: bytes, data: st.DataObject) -> None:
    damaged = bytearray(file)
    for at, value in data.draw(st.lists(st.tuples(st.integers(128, 1200), st.integers(0, 255)), max_size=6)):
        damaged[at % len(damaged)] = value
    outcome: images.Radiograph | str
    try:
        outcome = images.decode(bytes(damaged[: data.draw(st.integers(0, len(file)) | st.just(len(file)))]), 32)
    except ImageRejected as error:
        outcome = str(error)
    if isinstance(outcome, str):
        assert outcome.isprintable()
    else:
        assert (outcome.pixels.shape, outcome.pixels.dtype) == ((32, 32), np.uint8)
