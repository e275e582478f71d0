"""A prediction as a Comprehensive SR document of template TID 1500, Measurement Report (PS3.16)."""

import hashlib
import io
import logging
from typing import TYPE_CHECKING

from pneumo import __version__
from pneumo.preprocessing import headers, views
from pneumo.preprocessing.silence import silenced
from pneumo.serving.model import UNSURE, Model
from pneumo.serving.output import NOTICE
from pneumo.serving.predict import Prediction

if TYPE_CHECKING:
    from highdicom.sr import CodedConcept, ComprehensiveSR, MeasurementReport, MeasurementsAndQualitativeEvaluations
    from pydicom import Dataset

MANUFACTURER = "pneumo"
NOT_FOR_DIAGNOSIS = f"Not for diagnosis. {NOTICE[0].upper()}{NOTICE[1:]}. A person must read the film."
SERIES_NUMBER = 9900  # far from those that a modality counts
OWN_SCHEME = "99PNEUMO"  # 99: of nobody but its maker (PS3.16, 8)
CHEST = ("", *views.CHEST)  # a film that does not say is taken for one, as the model takes it
CHEST_FILM = ("399208008", "SCT", "Plain chest X-ray")
OTHER_FILM = ("363680008", "SCT", "Radiographic imaging procedure")
DIGITS = 10  # significant: what a decimal string of 16 characters holds in any exponent


def encoded(source: "Dataset", model: Model, prediction: Prediction) -> bytes:
    """The file of the report on `prediction`, which is of the film `source`: patient and study are those of the film.

    Preliminary and unverified, as nobody has read it. New UIDs, and the time of now: run twice, it is two documents.
    Raises what highdicom raises where the header of `source` has values that DICOM does not allow.
    """
    chest = headers.details(source)["body_part"] in CHEST  # before `silenced`, which it uses itself
    file = io.BytesIO()
    with silenced():
        _document(source, model, prediction, chest).save_as(file, enforce_file_format=True)
    return file.getvalue()


def _document(source: "Dataset", model: Model, prediction: Prediction, chest: bool) -> "ComprehensiveSR":
    from highdicom import UID
    from highdicom.sr import ComprehensiveSR

    logging.getLogger("highdicom").setLevel(logging.CRITICAL + 1)  # its warnings quote what patients are called
    return ComprehensiveSR(
        evidence=[source],
        content=_content(source, model, prediction, chest)[0],
        series_instance_uid=UID(),
        series_number=SERIES_NUMBER,
        series_description=f"{MANUFACTURER}: pneumonia, not for diagnosis",
        sop_instance_uid=UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=model.contract.name[:64],
        software_versions=__version__,
        device_serial_number=model.weights,
        specific_character_set="ISO_IR 192",  # UTF-8, whatever the film's is
        coding_schemes=[_own_scheme()],
        content_qualification="RESEARCH",
        is_complete=True,
        is_final=False,
        is_verified=False,
    )


def device_uid(weights: str) -> str:
    """Of the model as the observer: the same for the same weights (PS3.5, B.2: 2.25 and 128 bits)."""
    return f"2.25.{int.from_bytes(hashlib.sha256(weights.encode()).digest()[:16], 'big')}"


def _content(source: "Dataset", model: Model, prediction: Prediction, chest: bool) -> "MeasurementReport":
    from highdicom import sr
    from highdicom.sr import CodedConcept, MeasurementReport, RelationshipTypeValues
    from pydicom.sr.codedict import codes

    device = sr.DeviceObserverIdentifyingAttributes(
        uid=device_uid(model.weights),
        name=model.contract.name,
        manufacturer_name=MANUFACTURER,
        model_name=model.contract.name,
        serial_number=model.weights,
    )
    english = CodedConcept("en", "RFC5646", "English")
    observer = sr.ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    report = MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=CodedConcept(*(CHEST_FILM if chest else OTHER_FILM)),
        imaging_measurements=[_measured(source, model, prediction)],
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(english),
    )
    evaluations = sr.ContainerContentItem(
        name=CodedConcept("C0034375", "UMLS", "Qualitative Evaluations"),
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
    evaluations.ContentSequence = sr.ContentSequence(
        [
            sr.TextContentItem(codes.DCM.Comment, text, relationship_type=RelationshipTypeValues.CONTAINS)
            for text in (NOT_FOR_DIAGNOSIS, *(f"Warning: {warning}" for warning in prediction.warnings))
        ]
    )
    report[0].ContentSequence.append(evaluations)
    return report


def _measured(source: "Dataset", model: Model, prediction: Prediction) -> "MeasurementsAndQualitativeEvaluations":
    """TID 1501: the finding, the algorithm (TID 4019), the numbers and on which side of the threshold they are."""
    from highdicom import UID, sr
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    about = model.contract
    algorithm = sr.AlgorithmIdentification(
        name=about.name,
        version=__version__,
        manufacturer=MANUFACTURER,
        parameters=[f"weights SHA-256 {model.weights}", f"model.onnx SHA-256 {about.onnx.sha256}"],
    )
    numbers = {codes.DCM.Probability: prediction.probability, codes.DCM.ThresholdValue: about.threshold}
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=UID(), identifier="pneumonia"),
        finding_type=CodedConcept("233604007", "SCT", "Pneumonia"),
        algorithm_id=algorithm,
        measurements=[
            sr.Measurement(name=name, value=float(f"{value:.{DIGITS}g}"), unit=codes.UCUM.NoUnits)
            for name, value in numbers.items()
        ],
        qualitative_evaluations=[sr.QualitativeEvaluation(name=_decision(), value=_side(model, prediction))],
        source_images=[sr.SourceImageForMeasurementGroup.from_source_image(source)],
    )


def _decision() -> "CodedConcept":
    from highdicom.sr import CodedConcept

    return CodedConcept("decision", OWN_SCHEME, "Decision at the threshold of the model")


def _side(model: Model, prediction: Prediction) -> "CodedConcept":
    """Not `absent`: a probability below a threshold is no proof that the lungs are clear."""
    from highdicom.sr import CodedConcept

    if prediction.decision == UNSURE:
        return CodedConcept("unsure", OWN_SCHEME, "Undecided: near the threshold, to be left to a reader")
    _, pneumonia = model.contract.labels
    if prediction.decision == pneumonia:
        return CodedConcept("at-or-above", OWN_SCHEME, "Pneumonia: at or above the threshold")
    return CodedConcept("below", OWN_SCHEME, "No pneumonia called: below the threshold")


def _own_scheme() -> "Dataset":
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    return CodingSchemeIdentificationItem(OWN_SCHEME, name=MANUFACTURER, responsible_organization=MANUFACTURER)
