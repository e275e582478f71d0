import pandas as pd
import pytest

from pneumo.data import manifest
from pneumo.errors import ManifestError


@pytest.mark.parametrize(
    ("image", "label", "subtype", "patient"),
    [
        ("train/PNEUMONIA/person1_bacteria_1.jpeg", 1, "bacterial", "bacteria-1"),
        ("train/PNEUMONIA/person1_virus_6.jpeg", 1, "viral", "virus-1"),
        ("test/PNEUMONIA/person0078_bacteria_378.JPG", 1, "bacterial", "bacteria-78"),
        ("train/PNEUMONIA/person447_virus_921_1.jpeg", 1, "viral", "virus-447"),
        ("train/NORMAL/IM-0115-0001.jpeg", 0, "normal", "IM-0115"),
        ("test/NORMAL/IM-0011-0001-0002.jpeg", 0, "normal", "IM-0011"),
        ("val/NORMAL/NORMAL2-IM-1427-0001.jpeg", 0, "normal", "NORMAL2-IM-1427"),
        ("train/PNEUMONIA/BACTERIA-1008087-0001.jpeg", 1, "bacterial", "BACTERIA-1008087"),
        ("train/PNEUMONIA/VIRUS-1005562-0002.jpeg", 1, "viral", "VIRUS-1005562"),
        ("test/NORMAL/NORMAL-1049278-0001.jpeg", 0, "normal", "NORMAL-1049278"),
    ],
)
def test_names_of_the_real_dataset(image, label, subtype, patient):
    identity = manifest.identify(image)
    assert (identity.label, identity.subtype, identity.patient) == (label, subtype, patient)
    assert identity.source_split == image.split("/")[0]


@pytest.mark.parametrize(
    "image",
    [
        "train/PNEUMONIA/scan.jpeg",
        "train/PNEUMONIA/person1_fungus_1.jpeg",
        "train/PNEUMONIA/person_bacteria_1.jpeg",
        "train/PNEUMONIA/IM-0115-0001.jpeg",
        "train/NORMAL/person1_virus_6.jpeg",
        "train/NORMAL/IM-0115.jpeg",
        "train/NORMAL/VIRUS-12-1.jpeg",
        "train/PNEUMONIA/NORMAL-12-1.jpeg",
        "train/NORMAL/XIM-0115-0001.jpeg",
    ],
)
def test_a_name_that_no_rule_can_parse_is_its_own_patient(image):
    identity = manifest.identify(image)
    assert identity.patient.startswith("unknown-")
    assert identity.subtype == ("unknown" if "PNEUMONIA" in image else "normal")
    assert identity.patient != manifest.identify(image.replace("train/", "test/")).patient


def test_the_subtype_and_the_prefix_keep_patients_apart():
    names = ["PNEUMONIA/person7_virus_1.jpeg", "PNEUMONIA/person7_bacteria_1.jpeg"]
    names += ["NORMAL/IM-0007-0001.jpeg", "NORMAL/NORMAL2-IM-0007-0001.jpeg"]
    assert len({manifest.identify(f"train/{name}").patient for name in names}) == 4


def table(**changes) -> pd.DataFrame:
    rows = {
        "image": ["test/NORMAL/a.png", "train/NORMAL/b.png"],
        "label": [0, 1],
        "subtype": ["normal", "viral"],
        "patient": ["NA", "12"],
        "source_split": ["test", "train"],
        "split": ["test", "train"],
        "width": [10, 10],
        "height": [20, 20],
        "sha256": ["0e1", "00"],
    }
    return pd.DataFrame(rows | changes)


def test_reading_gives_what_was_written(tmp_path):
    manifest.write(table(), tmp_path / "manifest.csv")
    pd.testing.assert_frame_equal(manifest.read_manifest(tmp_path / "manifest.csv"), table(), check_dtype=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": [0, 2]}, "label is 2"),
        ({"subtype": ["normal", "fungal"]}, "subtype is 'fungal'"),
        ({"split": ["test", "valid"]}, "split is 'valid'"),
        ({"image": ["b", "a"]}, "sorted"),
        ({"image": ["a", "a"]}, "unique"),
        ({"patient": ["12", "12"]}, "patient 12 is in more than one split"),
    ],
)
def test_a_broken_manifest_is_refused(tmp_path, changes, message):
    with pytest.raises(ManifestError, match=message):
        manifest.write(table(**changes), tmp_path / "manifest.csv")


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "manifest.csv").write_text("image,label\na,0\n")
    with pytest.raises(ManifestError, match="no column 'subtype'"):
        manifest.read_manifest(tmp_path / "manifest.csv")
