"""Predictions passed on as they come, each with its structured report in a folder."""

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from pneumo.dicom_sr import document
from pneumo.dicom_sr.source import header
from pneumo.errors import ImageRejected, MissingExtra
from pneumo.serving import folders
from pneumo.serving.model import Model
from pneumo.serving.predict import Prediction

if TYPE_CHECKING:
    from pydicom import Dataset


def prepare(folder: Path, named: Iterable[str]) -> None:
    """Make `folder`, which is to hold the reports. `named`: files and folders with the films.

    Raises MissingExtra without highdicom, and ServingError as folders.prepare does.
    """
    if find_spec("highdicom") is None:
        raise MissingExtra("highdicom, which --sr needs, is not installed: pip install 'pneumo[sr]'")
    folders.prepare("--sr", folder, named)


def reported(model: Model, predictions: Iterable[Prediction], folder: Path) -> Iterator[Prediction]:
    """The same `predictions`, once their reports are in `folder`.

    A report is called as the film's SOP Instance UID says, and numbered where there is one of that name: nothing is
    overwritten. A prediction whose report cannot be written becomes the error that says why.
    """
    for prediction in predictions:
        yield prediction if prediction.error else _reported(model, prediction, folder)


def _reported(model: Model, prediction: Prediction, folder: Path) -> Prediction:
    try:
        source = header(Path(prediction.image))
        _write(_encoded(source, model, prediction), folder, str(source.SOPInstanceUID))
    except ImageRejected as error:
        return Prediction(prediction.image, error=str(error))
    except OSError as error:
        return Prediction(prediction.image, error=f"no structured report: {error.strerror or type(error).__name__}")
    return prediction


def _encoded(source: "Dataset", model: Model, prediction: Prediction) -> bytes:
    try:
        return document.encoded(source, model, prediction)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:  # with names
        raise ImageRejected(
            f"no structured report: the header has a value that DICOM does not allow ({type(error).__name__})"
        ) from None


def _write(content: bytes, folder: Path, stem: str) -> None:
    for number in count(1):
        path = folder / (f"{stem}.dcm" if number == 1 else f"{stem}-{number}.dcm")
        try:
            file = path.open("xb")
        except FileExistsError:
            continue
        try:
            with file:
                file.write(content)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return
