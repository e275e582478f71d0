"""Errors that a user can mend. Each message says what was expected, what was found, where, and what to do."""

import re
import shlex
from collections.abc import Mapping

_BARE = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")  # what shell and Hydra both read as it stands
_HYDRA_WORDS = ("true", "false", "null", "nan", "inf")  # in any case: no strings unless quoted


def override(key: str, value: str | list[str] | Mapping[str, str | list[str]]) -> str:
    """`-S key=value` as it can be pasted: quoted for Hydra, which reads the value, and then for the shell.

    Two texts cannot be given to `dvc exp run` at all, however they are quoted: OmegaConf resolves `${`, and Hydra knows
    no quotes in a key of a mapping, so that this must be of ASCII letters, digits, spaces and some signs.
    """
    return f"-S {shlex.quote(f'{key}={_hydra(value)}')}"


def _hydra(value: str | list[str] | Mapping[str, str | list[str]]) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_hydra, value))}]"
    if isinstance(value, Mapping):
        from hydra.core.override_parser.types import escape_special_characters

        return f"{{{', '.join(f'{escape_special_characters(key)}: {_hydra(inner)}' for key, inner in value.items())}}}"
    if _BARE.fullmatch(value) and value.lower() not in _HYDRA_WORDS:
        return value
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(value, Quote.double).with_quotes()


class PneumoError(Exception):
    """Base of every error that is shown without a traceback."""


class ParamsError(PneumoError):
    """A parameter is unknown, of the wrong type or out of range."""


class SourceError(PneumoError):
    """The images could not be obtained, or are not the ones that were asked for."""


class ManifestError(PneumoError):
    """A table of images or scores does not have the columns or values that its contract demands."""


class ImageRejected(PneumoError):
    """One image cannot be used; the message is the reason that goes into rejected.csv."""


class TooManyRejected(PneumoError):
    """More images than preprocess.max_rejected allows cannot be used."""


class SplitError(PneumoError):
    """The images cannot be divided into train, val and test without a leak or an empty class."""


class AuditError(PneumoError):
    """The data have a defect that would falsify the results, such as one image in two splits."""


class WeightsError(PneumoError):
    """Starting weights cannot be fetched, or do not fit the backbone."""


class TrainingError(PneumoError):
    """Training cannot start, or has diverged."""


class BundleError(PneumoError):
    """A model's folder is incomplete or does not match its model.json."""


class ExportError(PneumoError):
    """A model cannot be written in another format without changing what it says."""


class ServingError(PneumoError):
    """A prediction, or the service of predictions, cannot begin as asked."""


class RegistryError(PneumoError):
    """A registered model cannot be found or fetched, or is not the one that was registered."""


class RecordError(PneumoError):
    """A file of a record (params.yaml, metrics/, scores/, a lock) is missing or broken, or contradicts another."""


class VerifyError(PneumoError):
    """A committed figure is not what the committed scores give, or cannot be recomputed from them."""


class ReviewError(PneumoError):
    """Two commits cannot be compared as asked: a revision that is not there, or a file that cannot be read."""


class GateError(PneumoError):
    """The committed results are not those of the committed code and parameters."""


class MissingExtra(PneumoError):
    """An optional part of the installation is needed and not there."""


class PatientKeyError(PneumoError):
    """The key by which patients of DICOM files are known is missing, or is no secret."""
