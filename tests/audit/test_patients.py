from phantoms import rows

from pneumo.audit import patients

TABLE = rows(
    ("test/NORMAL/IM-0007-0001.jpeg", 0, "IM-0007", "test"),
    ("test/PNEUMONIA/person3_bacteria_1.jpeg", 1, "bacteria-3", "test"),
    ("train/NORMAL/NORMAL2-IM-0007-0001.jpeg", 0, "NORMAL2-IM-0007", "val"),
    ("train/NORMAL/NORMAL2-IM-0008-0001.jpeg", 0, "NORMAL2-IM-0008", "train"),
    ("train/NORMAL/IM-0008-0001.jpeg", 0, "IM-0008", "val"),
    ("train/PNEUMONIA/person3_virus_1.jpeg", 1, "virus-3", "train"),
    ("train/PNEUMONIA/person3_virus_2.jpeg", 1, "virus-3", "train"),
    ("train/PNEUMONIA/scan.jpeg", 1, "unknown-0123456789ab", "train"),
)


def test_each_reading_of_the_file_names_counts_its_patients():
    counts = patients.sensitivity(TABLE)
    assert list(counts) == [
        "patients",
        "patients_in_test_and_outside",
        "images_in_test",
        "images_outside",
        "patients_in_train_and_val",
    ]
    assert counts.to_numpy().tolist() == [
        [7, 0, 0, 0, 0],
        [6, 1, 1, 2, 0],
        [5, 1, 1, 1, 1],
        [4, 2, 2, 3, 1],
    ]
    assert list(counts.index) == ["as used", "subtype dropped", "NORMAL2- dropped", "both dropped"]
