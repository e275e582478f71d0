"""What headers say, who the patients are, and that nothing else gets out."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from dicoms import dataset, film, item
from listed import relist, split_params
from pydicom.uid import JPEG2000Lossless

from pneumo import params
from pneumo.data import listing, manifest
from pneumo.data.listing import Raw
from pneumo.errors import PatientKeyError, TooManyRejected
from pneumo.preprocessing import headers, patients
from pneumo.preprocessing.preprocess import preprocess
from pneumo.verification import gate

KEY = b"0123456789abcdef0123456789abcdef"
SETTINGS = {"image_size": 16, "max_rejected": 0.0, "split": split_params()}


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("062Y", "62"),
        ("62", "62"),
        ("018M", "1.5"),
        ("026W", "0.498"),
        ("000Y", "0"),
        ("010D", "0.0274"),
        ("089Y", "89"),
        ("090Y", "90"),
        ("104Y", "90"),
        ("", ""),
        ("Y", ""),
        ("1970", ""),
        ("-5Y", ""),
        ("19700101", ""),
    ],
)
def test_age_is_years_and_nobody_is_older_than_90(text, years):
    assert headers.age(text) == years


@pytest.mark.parametrize(
    ("elements", "column", "value"),
    [
        ({"PatientSex": "F"}, "sex", "F"),
        ({"PatientSex": "FEMALE JANE"}, "sex", ""),
        ({"BodyPartExamined": "CHEST"}, "body_part", "CHEST"),
        ({"BodyPartExamined": "HIP"}, "body_part", "HIP"),
        ({"BodyPartExamined": "T SPINE"}, "body_part", "TSPINE"),
        ({"BodyPartExamined": "JANE DOE"}, "body_part", "OTHER"),
        ({"BodyPartExamined": ""}, "body_part", ""),
    ],
)
def test_only_words_of_fixed_lists_are_passed_on(elements, column, value):
    assert headers.details(dataset(None, **elements))[column] == value


def test_a_pseudonym_is_the_keyed_hash_of_rfc_2104():
    """Computed with `printf 4711 | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef`."""
    assert patients.pseudonym("4711", KEY) == "dicom-" + OPENSSL[:16]
    assert patients.pseudonym("4712", KEY) != patients.pseudonym("4711", KEY)
    assert patients.pseudonym("4711", KEY[::-1]) != patients.pseudonym("4711", KEY)


OPENSSL = "17ddd675ef4801ada65135835c66b3c644f3d3e353e4e40447691c8d9ada1818"


def grain(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4096, (40, 40), dtype=np.uint16)


@pytest.fixture
def raw(tmp_path):
    """Two films of each of 30 patients, in an archive without patients in its names."""
    folder = tmp_path / "raw"
    for k in range(60):
        part, label = ("test", "train", "train")[k // 2 % 3], ("NORMAL", "PNEUMONIA")[k // 2 % 2]
        path = folder / f"{part}/{label}/scan-{k:02}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(film(grain(k), PatientID=f"P{k // 2}", PatientSex="FM"[k // 2 % 2], PatientAge="007Y"))
    relist(folder)
    return folder


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(KEY + b"\n")
    return path


def test_patients_are_those_of_the_headers(raw, key, tmp_path):
    summary = preprocess(Raw(raw), tmp_path / "out", patient_key=key, **SETTINGS)
    table = manifest.read_manifest(tmp_path / "out/manifest.csv")
    assert table["patient"].nunique() == 30
    assert table["patient"].str.fullmatch("dicom-[0-9a-f]{16}").all()
    assert (table.groupby("patient")["image"].count() == 2).all()
    assert list(table.columns) == [*manifest.COLUMNS, *headers.COLUMNS]
    assert set(table["age"]) == {"7"}
    assert summary["unknown_patients"] == 0
    assert summary["views"] == {"PA": 60}


def test_the_same_key_gives_the_same_split_and_another_another(raw, key, tmp_path):
    def manifest_with(content: bytes) -> bytes:
        key.write_bytes(content)
        preprocess(Raw(raw), tmp_path / "out", patient_key=key, **SETTINGS)
        return (tmp_path / "out/manifest.csv").read_bytes()

    first = manifest_with(KEY)
    assert manifest_with(KEY + b"\r\n") == first
    assert manifest_with(KEY[::-1]) != first


def test_what_the_source_says_goes_before_the_header(raw, tmp_path):
    images = listing.read(raw)
    told = [
        listing.Listed(i.image, i.label, i.subtype, f"table-{n // 2}", "", details={"age": "40", "view": ""})
        for n, i in enumerate(images)
    ]
    listing.write(told, (), raw)
    preprocess(Raw(raw), tmp_path / "out", **SETTINGS)  # and no key is needed
    table = manifest.read_manifest(tmp_path / "out/manifest.csv")
    assert table["patient"].str.startswith("table-").all()
    assert (set(table["age"]), set(table["view"])) == ({"40"}, {"PA"})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file or directory. Get this file from whoever made the results"),
        (b"short", "has 5 characters; expected at least 32"),
    ],
)
def test_a_key_that_is_missing_or_no_secret_stops_the_run_with_the_remedy(raw, tmp_path, content, says):
    path = tmp_path / "key"
    if content:
        path.write_bytes(content)
    with pytest.raises(PatientKeyError) as caught:
        preprocess(Raw(raw), tmp_path / "out", patient_key=path, **SETTINGS)
    assert says in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_without_a_key_the_remedy_works_when_pasted(raw, tmp_path):
    with pytest.raises(
        PatientKeyError, match=r"test/NORMAL/scan-.*-S preprocess\.patient_key=\.patient\.key"
    ) as caught:
        preprocess(Raw(raw), tmp_path / "out", **SETTINGS)
    command = str(caught.value).split("`")[1]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, shell=True, cwd=tmp_path, check=True, env={**os.environ, "PATH": path})
    key = tmp_path / ".patient.key"
    assert re.fullmatch("[0-9a-f]{64}\n", key.read_text())
    key.write_text(f"{7:064x}\n")  # another key splits these few patients in another way, now and then into no split
    preprocess(Raw(raw), tmp_path / "out", patient_key=key, **SETTINGS)


def test_a_film_without_a_patient_stays_a_patient_of_its_own(raw, key, tmp_path):
    (raw / "train/NORMAL/scan-02").unlink(missing_ok=True)
    (raw / "train/NORMAL/scan-04").write_bytes(film(grain(99), PatientID=""))
    relist(raw)
    assert preprocess(Raw(raw), tmp_path / "out", patient_key=key, **SETTINGS)["unknown_patients"] == 1


def test_what_is_no_film_asked_for_is_set_aside_and_not_counted_as_unreadable(raw, key, tmp_path):
    others = {
        "ct": {"Modality": "CT"},
        "lateral": {"ViewPosition": "LL"},
        "cine": {"NumberOfFrames": "30"},
    }
    for name, elements in others.items():
        (raw / f"train/NORMAL/{name}").write_bytes(film(grain(1000), **elements))
    (raw / "train/NORMAL/unsaid").write_bytes(film(grain(1001), ViewPosition="", PatientID="P77"))
    (raw / "train/NORMAL/hip").write_bytes(film(grain(1002), BodyPartExamined="HIP", PatientID="P78"))
    relist(raw)
    summary = preprocess(Raw(raw), tmp_path / "out", patient_key=key, views=["PA", "AP", "FRONTAL"], **SETTINGS)
    rejected = dict(pd.read_csv(tmp_path / "out/rejected.csv").values)
    assert {name.rpartition("/")[2]: reason for name, reason in rejected.items()} == {
        "ct": "set aside: not a radiograph: Computed Radiography Image Storage, modality CT; expected one of CR, DX, "
        "DR, RG",
        "lateral": "set aside: view LATERAL; preprocess.views takes PA, AP, FRONTAL",
        "cine": "set aside: 30 frames; expected one",
    }
    assert (summary["received"], summary["images"], summary["rejected"]) == (65, 62, 0)
    assert summary["set_aside"]["images"] == 3
    assert summary["set_aside"]["reasons"]["30 frames; expected one"] == 1
    assert summary["views"] == {"PA": 61, "unknown": 1}
    assert summary["other_body_parts"] == {"HIP": 1}


def test_a_film_that_cannot_be_decoded_counts_as_unreadable(raw, key, tmp_path):
    path = raw / "train/NORMAL/scan-08"
    path = path if path.exists() else next((raw / "train/NORMAL").iterdir())
    path.write_bytes(path.read_bytes()[:-100])
    relist(raw)
    with pytest.raises(TooManyRejected, match=r"1 of 60 images cannot be read(.|\n)*DICOM is truncated: "):
        preprocess(Raw(raw), tmp_path / "out", patient_key=key, **SETTINGS)


def test_if_nothing_is_left_that_is_said(raw, key, tmp_path):
    with pytest.raises(TooManyRejected, match="all 60 images are set aside") as caught:
        preprocess(Raw(raw), tmp_path / "out", patient_key=key, views=["LATERAL"], **SETTINGS)
    assert "view PA; preprocess.views takes LATERAL" in str(caught.value)


def test_a_patient_in_test_and_outside_is_seen_by_the_header(raw, key, tmp_path):
    path = next((raw / "test/NORMAL").iterdir())
    path.write_bytes(film(grain(5), PatientID="P1"))  # of the train part
    relist(raw)
    with pytest.raises(Exception, match="1 patients are in the test set and outside it, first dicom-"):
        preprocess(Raw(raw), tmp_path / "out", patient_key=key, **SETTINGS)


PLANTED = {
    "PatientName": "Planted^Jane",
    "OtherPatientNames": "Planted^Janet",
    "PatientID": "PLANTED-4711",
    "PatientBirthDate": "19510203",
    "StudyDate": "20190405",
    "ContentDate": "20190406",
    "StudyTime": "112233.4455",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.771177",
    "SOPInstanceUID": "1.2.826.0.1.3680043.8.498.881188",
    "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.991199",
    "AccessionNumber": "ACC-PLANTED-1",
    "InstitutionName": "Planted General Hospital",
    "OperatorsName": "Planted^Operator",
    "ReferringPhysicianName": "Planted^Referrer",
    "StationName": "PLANTEDSTATION",
    "StudyDescription": "planted study of Jane",
    "SeriesDescription": "PA film of planted Jane",
    "ProtocolName": "planted protocol",
    "ImageComments": "planted comment",
    "BodyPartExamined": "PLANTED PART",
    "PatientSex": "PLANTED SEX",
    "PatientAge": "PLANTEDAGE",
    "DeviceSerialNumber": "PLANTEDSERIAL",
}
BROKEN = {  # what a file of each kind has besides, so that everything that can be said of a film is said
    "fine": {},
    "odd window": {"WindowCenter": "1e3", "WindowWidth": "0"},
    "cut": {},
    "ct": {"Modality": "CT"},
    "name as modality": {"Modality": "PLANTEDMOD"},
    "lateral": {"ViewPosition": "LL"},
    "uid as class": {"SOPClassUID": "1.2.826.0.1.3680043.8.498.661166"},
}
SECRET = [
    *PLANTED.values(),
    "PLANTED",
    "Planted",
    "Jane",
    "771177",
    "881188",
    "991199",
    "661166",
    "19510203",
    "20190405",
]


def plant(path: Path, seed: int, patient: str, **elements: object) -> None:
    made = dataset(grain(seed), JPEG2000Lossless if seed % 2 else "1.2.840.10008.1.2.1", **PLANTED | elements)
    made.PatientID = f"PLANTED-{patient}"
    made.add_new(0x00091010, "LO", "PLANTED private")
    made.ReferencedStudySequence = [item(ReferencedSOPInstanceUID="1.2.826.0.1.3680043.8.498.771177")]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        made.save_as(file, enforce_file_format=True)


@pytest.mark.slow
def test_no_identifier_leaves_the_files(root, tmp_path):
    """Stages download, preprocess and audit, on films full of identifiers: every byte that they leave is searched."""
    films, project = tmp_path / "films", tmp_path / "project"
    for k in range(120):
        part, label = ("test", "train", "train")[k % 3], ("NORMAL", "PNEUMONIA")[k // 3 % 2]
        plant(films / part / label / f"scan-{k:03}", k, str(k))
    for n, (name, elements) in enumerate(BROKEN.items()):
        plant(films / "train/NORMAL" / f"x {name}", 500 + 2 * n, f"x{n}", **elements)
    cut = films / "train/NORMAL/x cut"
    cut.write_bytes(cut.read_bytes()[:-600])
    project.mkdir()
    composed = gate.compose(
        root, "data=archive", f"data.path={films}", "data.expected=null", "preprocess.image_size=32",
        "preprocess.max_rejected=0.2", "preprocess.patient_key=.patient.key", "bootstrap.resamples=200",
    )  # fmt: skip
    (project / "params.yaml").write_text(yaml.safe_dump(composed))
    said = []
    for key, stages in ((False, ["download", "preprocess"]), (True, ["preprocess", "audit"])):
        if key:
            (project / ".patient.key").write_bytes(KEY)
        said += [stage(root, project, name) for name in stages]
    assert [done.returncode for done in said] == [0, 1, 0, 0], said[-1].stderr
    assert "preprocess.patient_key" in said[1].stderr

    outputs = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    searched = {path: data for path, data in outputs.items() if path.suffix != ".zip"}
    texts = [*searched.values(), *(text.encode() for done in said for text in (done.stdout, done.stderr))]
    assert {"manifest.csv", "rejected.csv", "images.csv", "data.json", "copies.csv"} <= {path.name for path in searched}
    assert len(searched) == len(outputs) - 1, "the films themselves are not searched"
    for secret in SECRET:
        assert not any(secret.encode() in text for text in texts), secret
    summary = json.loads((project / "metrics/data.json").read_text())
    assert (summary["rejected"], summary["set_aside"]["images"]) == (1, 4)
    assert summary["other_body_parts"] == {"OTHER": 122}


def stage(root: Path, project: Path, name: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, "-W", "always", "-m", f"stages.{name}"],
        cwd=project, env=environment, capture_output=True, text=True,
    )  # fmt: skip


def test_dvc_watches_the_key(root):
    """So that another key is a change, and a missing one an error, before anything is split anew."""
    preprocess_stage = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]["preprocess"]
    assert "${preprocess.patient_key}" in preprocess_stage["deps"]
    assert gate.compose(root)["preprocess"]["patient_key"] == params.NO_KEY
    assert (root / params.NO_KEY).is_file()
    ignored = subprocess.run(["git", "check-ignore", ".patient.key"], cwd=root, capture_output=True, text=True)
    assert ignored.stdout.strip() == ".patient.key"
