"""Patients of DICOM files: known by a keyed hash, so that no identifier leaves the file.

The same key gives the same patients and so the same split. Without the key nobody can try all possible identifiers,
as one could with a plain hash of a short number.
"""

import hashlib
import hmac
from pathlib import Path

from pneumo.errors import PatientKeyError

PREFIX = "dicom-"
DIGITS = 16  # 64 bits: among a million patients two meet with probability 3e-8
SHORTEST = 32  # characters of a key: 128 bits in hexadecimal
MAKE = "python -c 'import secrets; print(secrets.token_hex(32))' > .patient.key"


def pseudonym(patient_id: str, key: bytes) -> str:
    """HMAC-SHA-256 (RFC 2104) of the identifier, cut to DIGITS hexadecimal digits, behind PREFIX."""
    return PREFIX + hmac.new(key, patient_id.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:DIGITS]


def read_key(path: Path | None, example: str) -> bytes:
    """The key in the file `path`, without the spaces around it. example: an image that needs it, for the error.

    Raises PatientKeyError where there is no key, or one that could be guessed.
    """
    if path is None:
        raise PatientKeyError(
            f"{example}: only the DICOM header names the patient, and pneumo writes that nowhere. It needs a secret "
            f"key to make a pseudonym of it. Make one, `{MAKE}`, and add -S preprocess.patient_key=.patient.key. "
            "Colleagues need the same file for the same patients and the same split; git must not have it"
        )
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise PatientKeyError(
            f"preprocess.patient_key: {path}: {error.strerror}. Get this file from whoever made the results of this "
            "project: another key gives other patients and another split. Or, to begin anew with a key of your own: "
            f"`{MAKE}` and -S preprocess.patient_key=.patient.key"
        ) from None
    if len(key) < SHORTEST:
        raise PatientKeyError(
            f"preprocess.patient_key: {path} has {len(key)} characters; expected at least {SHORTEST}, or the "
            f"identifiers could be guessed. Make another: `{MAKE}`"
        )
    return key
