"""The header of a film as its structured report needs it: whole, without pixels and without private elements."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pneumo.errors import ImageRejected
from pneumo.preprocessing import dicom
from pneumo.preprocessing.silence import silenced

if TYPE_CHECKING:
    from pydicom import Dataset

UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
# Type 2 of patient and study (PS3.3 C.7.1.1, C.7.2.1): there, with no value where it is unknown.
MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
DATES = {"PatientBirthDate": "DA", "StudyDate": "DA", "StudyTime": "TM"}
_UID = re.compile(r"(?=.{1,64}$)(0|[1-9]\d*)(\.(0|[1-9]\d*))+")


def header(path: Path) -> "Dataset":
    """All that is said of the film in `path`. What DICOM wants to be there and is not becomes empty.

    Raises ImageRejected for what is no DICOM file, or one that does not say of which study, series and image it is;
    OSError where it cannot be read. No value of the header is in the message.
    """
    with path.open("rb") as file:
        if not dicom.is_dicom(file.read(132)):
            raise ImageRejected("no structured report: this is not a DICOM file. Leave out this file or --sr")
    dicom.refuse_other_than_film(dicom.load(path, pixels=False))
    from pydicom import dcmread

    try:
        with silenced():
            found = dcmread(path, stop_before_pixels=True)
            found.remove_private_tags()
    except Exception as error:  # each reader raises what it likes
        raise ImageRejected(f"no structured report: DICOM file cannot be read ({type(error).__name__})") from None
    missing = [keyword for keyword in UIDS if not dicom.word(found, keyword)]
    if missing:
        raise ImageRejected(
            f"no structured report: the header lacks {', '.join(missing)}, so the report could not refer to the film"
        )
    for keyword in UIDS:
        if not _UID.fullmatch(dicom.word(found, keyword)):
            raise ImageRejected(f"no structured report: {keyword} is not a valid UID")
    if dicom.word(found, "PatientSex") not in ("", "F", "M", "O"):
        raise ImageRejected("no structured report: PatientSex is not F, M, O or empty")
    _refuse_other_dates(found)
    for keyword in MAY_BE_EMPTY:
        if keyword not in found:
            setattr(found, keyword, None)
    return found


def _refuse_other_dates(found: "Dataset") -> None:
    from pydicom import valuerep

    for keyword, kind in DATES.items():
        try:
            getattr(valuerep, kind)(dicom.word(found, keyword))
        except ValueError:
            raise ImageRejected(f"no structured report: {keyword} is not a valid DICOM date or time") from None
