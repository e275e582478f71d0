"""Structured reports of predictions: what an archive is given, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from bundles import draw
from dicoms import film, item

from pneumo import __version__, cli
from pneumo.dicom_sr import write
from pneumo.dicom_sr.document import NOT_FOR_DIAGNOSIS
from pneumo.errors import MissingExtra

sr = pytest.importorskip("highdicom.sr")

OF_THE_STUDY = {
    "StudyInstanceUID": "1.2.3.4",
    "SeriesInstanceUID": "1.2.3.4.5",
    "SOPInstanceUID": "1.2.3.4.5.6",
    "PatientID": "0815",
    "PatientName": "Doe^Jane",
    "PatientBirthDate": "19700101",
    "PatientSex": "F",
    "AccessionNumber": "A1",
    "StudyID": "S1",
    "StudyDate": "20260102",
    "StudyTime": "030405",
    "ReferringPhysicianName": "Roe^Richard",
}
REAL = Path(__file__).parents[3] / "shared/data/dicom"


def of_film(path, **elements):
    """A DICOM file of smooth noise with OF_THE_STUDY; None leaves an element out."""
    coarse = np.random.default_rng(0).integers(0, 4096, (6, 5), dtype=np.uint16)
    says = {key: value for key, value in (OF_THE_STUDY | elements).items() if value is not None}
    made = film(np.kron(coarse, np.ones((10, 10), dtype=np.uint16)), **says)
    if says.get("SOPInstanceUID") is None:
        dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(made))
        del dataset.SOPInstanceUID
        dataset.save_as(path)
        return path
    path.write_bytes(made)
    return path


def run(exported, capsys, *words):
    """Exit status and rows."""
    code = cli.main(["predict", "--model", str(exported), "--format", "jsonl", *map(str, words)])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def report(exported, tmp_path, capsys):
    """Writes a film, predicts, and reads its report: the row and the document."""

    def made(**elements):
        path = of_film(tmp_path / "film.dcm", **elements)
        code, (row,) = run(exported, capsys, path, "--sr", tmp_path / "sr")
        assert (code, row["error"]) == (0, None)
        (written,) = (tmp_path / "sr").iterdir()
        return row, sr.srread(written)

    return made


def test_the_report_belongs_to_the_study_of_the_film(report):
    _, found = report()
    for keyword, value in OF_THE_STUDY.items():
        if keyword not in ("SeriesInstanceUID", "SOPInstanceUID"):
            assert found[keyword].value == value, keyword
    assert (found.Modality, found.SOPClassUID) == ("SR", pydicom.uid.ComprehensiveSRStorage)
    assert (found.CompletionFlag, found.PreliminaryFlag, found.VerificationFlag) == (
        "COMPLETE",
        "PRELIMINARY",
        "UNVERIFIED",
    )
    assert found.ContentQualification == "RESEARCH"
    (study,) = found.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    assert (study.StudyInstanceUID, series.SeriesInstanceUID) == ("1.2.3.4", "1.2.3.4.5")
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.4.5.6"
    assert found.SeriesInstanceUID != "1.2.3.4.5"


def test_highdicom_finds_in_it_what_was_predicted(report, exported):
    row, found = report()
    assert isinstance(found, sr.ComprehensiveSR)
    assert isinstance(found.content, sr.MeasurementReport)
    (group,) = found.content.get_image_measurement_groups()
    finding = group.finding_type
    assert (finding.value, finding.scheme_designator, finding.meaning) == ("233604007", "SCT", "Pneumonia")
    numbers = {
        one.name.meaning: (one.value, one.unit.value, one.unit.scheme_designator) for one in group.get_measurements()
    }
    assert numbers["Probability"] == (pytest.approx(row["probability"], rel=1e-5), "1", "UCUM")
    assert numbers["Threshold Value"] == (row["threshold"], "1", "UCUM")
    (decision,) = group.get_qualitative_evaluations()
    assert decision.value.value == ("at-or-above" if row["decision"] == "pneumonia" else "below")
    assert group.source_images[0].referenced_sop_instance_uid == "1.2.3.4.5.6"
    algorithm = texts(found, "111001", "111002", "111003", "122405")
    onnx = json.loads((exported / "model.json").read_text())["onnx"]["sha256"]
    assert algorithm == [
        "tiny",
        f"weights SHA-256 {row['weights']}",
        f"model.onnx SHA-256 {onnx}",
        __version__,
        "pneumo",
    ]


def texts(found, *codes):
    """Of the text items anywhere in the document with these concept names, in that order."""
    items = [element for element in walk(found) if element.get("ValueType") == "TEXT"]
    return [one.TextValue for code in codes for one in items if one.ConceptNameCodeSequence[0].CodeValue == code]


def walk(dataset):
    for inner in dataset.get("ContentSequence", ()):
        yield inner
        yield from walk(inner)


def test_warnings_and_what_it_is_not_for_are_said_in_words(report):
    row, found = report(ViewPosition="LATERAL", BodyPartExamined="FOOT")
    assert len(row["warnings"]) >= 2
    assert texts(found, "121106") == [NOT_FOR_DIAGNOSIS, *(f"Warning: {warning}" for warning in row["warnings"])]
    reported = [one for one in walk(found) if one.ConceptNameCodeSequence[0].CodeValue == "121058"]
    assert reported[0].ConceptCodeSequence[0].CodeMeaning == "Radiographic imaging procedure"


def test_the_observer_is_the_model(report):
    row, found = report()
    (observer,) = found.content.get_observer_contexts()
    attributes = observer.observer_identifying_attributes
    assert (observer.observer_type.meaning, attributes.name, attributes.serial_number) == (
        "Device",
        "tiny",
        row["weights"],
    )
    assert found.DeviceSerialNumber == row["weights"]


def test_every_value_is_one_that_dicom_allows(report, tmp_path, monkeypatch):
    """Read by pydicom in its strictest way."""
    report()
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.RAISE)
    (path,) = (tmp_path / "sr").iterdir()
    assert sum(1 for _ in pydicom.dcmread(path).iterall()) > 100


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("ISO_IR 126", "Παπαδόπουλος^Νίκος"),
        ("ISO_IR 100", "Müller^Zoë"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("ISO_IR 192", "山田^太郎"),
    ],
)
def test_names_in_any_script_are_kept(report, encoding, name):
    _, found = report(SpecificCharacterSet=encoding, PatientName=name)
    assert found.PatientName == name
    assert found.SpecificCharacterSet == "ISO_IR 192"


def test_private_elements_of_the_film_stay_behind(report, tmp_path):
    other = item(PatientID="0816")
    other.private_block(0x0011, "ACME", create=True).add_new(1, "LO", "secret within")
    _, found = report(OtherPatientIDsSequence=[other])
    assert found.OtherPatientIDsSequence[0].PatientID == "0816"
    assert not [element for element in found.iterall() if element.tag.is_private]


def test_what_the_film_does_not_say_stays_empty(report):
    _, found = report(PatientID=None, PatientName=None, AccessionNumber=None, StudyDate=None, StudyID=None)
    assert not any(found[keyword].value for keyword in ("PatientID", "PatientName", "AccessionNumber", "StudyDate"))


REFUSED = {  # elements of the film -> the reason
    "no study": (
        {"StudyInstanceUID": None},
        "the header lacks StudyInstanceUID, so the report could not refer to the film",
    ),
    "no UIDs": (
        {"StudyInstanceUID": None, "SeriesInstanceUID": None, "SOPInstanceUID": None},
        "the header lacks StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID",
    ),
    "a way out of the folder": ({"SOPInstanceUID": "../../1.2"}, "SOPInstanceUID is not a valid UID"),
    "a sex that is none": ({"PatientSex": "X"}, "PatientSex is not F, M, O or empty"),
    "a date that is none": ({"StudyDate": "yesterday"}, "StudyDate is not a valid DICOM date or time"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("elements", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_film_that_nobody_could_find_again_has_an_error_in_its_place(exported, tmp_path, capsys, elements, reason):
    path, good = of_film(tmp_path / "film.dcm", **elements), of_film(tmp_path / "good.dcm")
    code, (row, other) = run(exported, capsys, path, good, "--sr", tmp_path / "sr")
    assert (code, other["error"]) == (1, None)
    assert row["error"].startswith(f"no structured report: {reason}")
    assert "Doe" not in row["error"]
    assert [path.name for path in (tmp_path / "sr").iterdir()] == ["1.2.3.4.5.6.dcm"]


def test_an_image_that_is_no_dicom_has_an_error_in_its_place(exported, tmp_path, capsys):
    (png,) = draw(tmp_path / "films", 1)
    code, (row,) = run(exported, capsys, png, "--sr", tmp_path / "sr")
    assert (code, row["probability"]) == (1, None)
    assert row["error"] == "no structured report: this is not a DICOM file. Leave out this file or --sr"


def test_nothing_is_overwritten(exported, tmp_path, capsys):
    path = of_film(tmp_path / "film.dcm")
    folder = tmp_path / "sr"
    assert run(exported, capsys, path, shutil.copy(path, tmp_path / "copy.dcm"), "--sr", folder)[0] == 0
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(first) == ["1.2.3.4.5.6-2.dcm", "1.2.3.4.5.6.dcm"]
    assert run(exported, capsys, path, "--sr", folder)[0] == 0
    assert {name: (folder / name).read_bytes() for name in first} == first
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in folder.iterdir()]
    assert len(set(uids)) == len(uids) == 3


def test_a_folder_that_is_searched_for_films_takes_no_reports(exported, tmp_path, capsys):
    of_film(tmp_path / "film.dcm")
    assert cli.main(["predict", "--model", str(exported), str(tmp_path), "--sr", str(tmp_path / "sr")]) == 1
    assert "is searched for films: name a folder outside it" in capsys.readouterr().err
    (tmp_path / "file").touch()
    film = str(tmp_path / "film.dcm")
    assert cli.main(["predict", "--model", str(exported), film, "--sr", str(tmp_path / "file")]) == 1
    assert "is a file: name a folder" in capsys.readouterr().err


def test_without_highdicom_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'pneumo\[sr\]'"):
        write.prepare(tmp_path / "sr", [])
    assert not (tmp_path / "sr").exists()


@pytest.mark.skipif(not REAL.is_dir(), reason="needs DICOM files that are not part of the project")
def test_real_films_have_reports_and_nothing_else_has(exported, tmp_path, capsys):
    _, rows = run(exported, capsys, REAL, "--sr", tmp_path)
    of_films = [row for row in rows if row["error"] is None]
    assert len(of_films) == 5
    reports = [sr.srread(path) for path in tmp_path.iterdir()]
    assert len(reports) == 5
    films = {pydicom.dcmread(row["image"], stop_before_pixels=True).StudyInstanceUID for row in of_films}
    assert {one.StudyInstanceUID for one in reports} == films
