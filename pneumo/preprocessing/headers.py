"""What the headers of DICOM files say of the images, read before patients are split and before anything is decoded."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pneumo.data.listing import ALONE, UNKNOWN, Listed
from pneumo.errors import ImageRejected
from pneumo.preprocessing import dicom, patients, views
from pneumo.preprocessing.views import CHEST
from pneumo.shards import Films

if TYPE_CHECKING:
    from pydicom import Dataset

COLUMNS = ("view", "sex", "age", "body_part")
# Of the defined terms of Body Part Examined (PS3.16, Table L-1) those of which radiographs are taken; any other text
# might be anything, and becomes OTHER.
_BODY_PARTS = (
    *CHEST, "ABDOMEN", "ANKLE", "ARM", "BREAST", "CLAVICLE", "COCCYX", "CSPINE", "ELBOW", "EXTREMITY", "FEMUR",
    "FINGER", "FOOT", "FOREARM", "HAND", "HEAD", "HIP", "HUMERUS", "JAW", "KNEE", "LEG", "LSPINE", "NECK", "PELVIS",
    "SCAPULA", "SHOULDER", "SKULL", "SPINE", "TIBIA", "TOE", "TSPINE", "WHOLEBODY", "WRIST",
)  # fmt: skip
_VIEW_TEXTS = ("ViewPosition", "SeriesDescription", "ProtocolName")
_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25, "": 1.0}
OLDEST = 90  # every age above 89 is a single category: 45 CFR 164.514(b)(2)(i)(C)


def described(films: Films, images: Sequence[Listed], patient_key: Path | None) -> list[Listed]:
    """The images, those in DICOM files with COLUMNS and, if the source knows no patient, the pseudonym of theirs.

    What the source says of an image goes before its header. A file that is no film has the reason in `rejected`.
    Raises PatientKeyError if `patient_key` is needed and is not there, MissingExtra if pydicom is needed and is not.
    """
    key: bytes | None = None
    result = []
    for image in images:
        header = None if image.rejected else _header(films, image.image)
        if header is None:
            result.append(image)
            continue
        if isinstance(header, str):
            result.append(replace(image, rejected=header))
            continue
        patient, patient_id = image.patient, dicom.word(header, "PatientID")
        if patient.startswith((ALONE, UNKNOWN)) and patient_id:
            # The same number in two hospitals would be one patient: kept together, which leaks nothing.
            key = key or patients.read_key(patient_key, image.image)
            patient = patients.pseudonym(patient_id, key)
        says = {name: value for name, value in image.details.items() if value}
        result.append(replace(image, patient=patient, details={**image.details, **details(header), **says}))
    return result


def _header(films: Films, image: str) -> "Dataset | str | None":
    """The header of a film, why the file is none, or None for a file that is no DICOM."""
    with films.open(image) as file:
        if not dicom.is_dicom(file.read(132)):
            return None
        file.seek(0)
        try:
            header = dicom.load(file, pixels=False)
            dicom.refuse_other_than_film(header)
        except ImageRejected as error:
            return str(error)
    return header


def details(header: "Dataset") -> dict[str, str]:
    """COLUMNS, each a word of a fixed list or a number, or empty: no text of the header is passed on."""
    sex = dicom.word(header, "PatientSex").upper()
    return {
        "view": _view(header),
        "sex": sex if sex in ("F", "M", "O") else "",
        "age": age(dicom.word(header, "PatientAge")),
        "body_part": _body_part(dicom.word(header, "BodyPartExamined")),
    }


def age(text: str) -> str:
    """Years, by PS3.5 6.2 (`018M` is 1.5); digits alone are years, as several public sets have them."""
    match = re.fullmatch(r"(\d{1,3})([DWMY]?)", text.upper())
    return f"{min(int(match[1]) * _YEARS[match[2]], OLDEST):.3g}" if match else ""


def _body_part(text: str) -> str:
    part = re.sub(r"[^A-Z]", "", text.upper())
    return "" if not part else part if part in _BODY_PARTS else "OTHER"


def _view(header: "Dataset") -> str:
    """The first element that says it. Descriptions are free text: only the view is taken from them."""
    for text in _view_texts(header):
        view = views.view_of(text)
        if view != views.UNKNOWN:
            return view
    return _by_orientation(header)


def _view_texts(header: "Dataset") -> Iterator[str]:
    first, *rest = _VIEW_TEXTS
    yield dicom.word(header, first)
    for item in header.get("ViewCodeSequence") or []:
        yield dicom.word(item, "CodeMeaning")
    for keyword in rest:
        yield dicom.word(header, keyword)


def _by_orientation(header: "Dataset") -> str:
    """Patient Orientation (PS3.3 C.7.6.1.1.1): rows that run to the front or the back are of a lateral view."""
    try:
        row = str(header.PatientOrientation[0]).upper()[:1]
        column = str(header.PatientOrientation[1]).upper()[:1]
    except Exception:  # absent, a single value, or broken
        return ""
    across = {row, column} - {"H", "F"}
    if len(across) != 1 or {row, column} == across:
        return ""
    return "LATERAL" if across <= {"A", "P"} else "FRONTAL" if across <= {"L", "R"} else ""
