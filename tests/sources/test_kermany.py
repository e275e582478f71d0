"""Patients and subtypes from the file names of the Kermany data set."""

import pytest

from pneumo.sources import kermany


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
    identity = kermany.identify(image)
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
    identity = kermany.identify(image)
    assert identity.patient.startswith("unknown-")
    assert identity.subtype == ("unknown" if "PNEUMONIA" in image else "normal")
    assert identity.patient != kermany.identify(image.replace("train/", "test/")).patient


def test_the_subtype_and_the_prefix_keep_patients_apart():
    names = ["PNEUMONIA/person7_virus_1.jpeg", "PNEUMONIA/person7_bacteria_1.jpeg"]
    names += ["NORMAL/IM-0007-0001.jpeg", "NORMAL/NORMAL2-IM-0007-0001.jpeg"]
    assert len({kermany.identify(f"train/{name}").patient for name in names}) == 4
