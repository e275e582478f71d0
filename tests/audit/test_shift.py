import numpy as np
import pandas as pd
import pytest
from phantoms import rows

from pneumo.audit import folds, shift
from pneumo.audit.features import FEATURES


def simulate(moved: float, patients: int = 60) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two images a patient, of normal spread; in test normals, `mean` lies `moved` standard deviations higher."""
    rng = np.random.default_rng(0)
    table = rows(
        *(
            (f"{split}/{label}/{k}-{view}", label, f"{split}-{label}-{k}", split)
            for split in ("test", "train", "val")
            for label in (0, 1)
            for k in range(patients)
            for view in (1, 2)
        )
    )
    features = pd.DataFrame(rng.normal(100, 10, (len(table), len(FEATURES))), columns=list(FEATURES))
    features.loc[(table["split"] == "test") & (table["label"] == 0), "mean"] += 10 * moved
    return table, features


def test_a_moved_feature_stands_out_in_its_class_alone():
    table = shift.table(*simulate(2, patients=1000)).set_index(["feature", "class"])
    assert list(table.reset_index().columns) == list(shift.COLUMNS)
    assert table.loc[("mean", "normal"), "smd_test_train"] == pytest.approx(2, abs=0.2)
    assert table.loc[("mean", "normal"), "smd_test_val"] == pytest.approx(2, abs=0.2)
    assert table.loc[("mean", "normal"), "ks_test_train"] == pytest.approx(0.68, abs=0.05)  # 2 Phi(1) - 1
    others = table.drop([("mean", "normal"), ("mean", "all")])
    assert others.filter(like="smd").abs().max().max() < 0.2
    assert table["smd_val_train"].abs().max() < 0.2


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 3], [0, 2], 1.0),
        ([1, 3], [1, 3], 0.0),
        ([0, 2], [1, 3], -1.0),
        ([0, 4], [2, 2], 0.0),
        ([5, 5], [5, 5], np.nan),
    ],
)
def test_standardised_difference(first, second, expected):
    difference = shift.standardised_difference(np.array(first, float), np.array(second, float))
    assert difference == pytest.approx(expected, nan_ok=True)


def test_separability_is_chance_without_shift_and_high_with_it():
    none, moved = (shift.separability(*simulate(by)) for by in (0, 2))
    assert all(0.4 < value < 0.6 for pair in none.values() for value in pair.values())
    assert moved["normal"]["test_train"] > 0.85
    assert moved["normal"]["val_train"] == none["normal"]["val_train"]
    assert moved["pneumonia"] == none["pneumonia"]


def test_too_few_patients_have_no_separability():
    assert shift.separability(*simulate(0, patients=1))["normal"] == {"test_train": None, "val_train": None}


def test_a_patient_is_on_one_side_of_each_fold():
    table, _ = simulate(0)
    for fitted, tested in folds.by_patient(table["label"].to_numpy(), table["patient"]):
        assert not set(table["patient"][fitted]) & set(table["patient"][tested])


@pytest.mark.parametrize(
    ("classes", "patients", "times"),
    [
        ([0, 1], "ab", 0),
        ([0, 0, 1, 1], "abcc", 0),
        ([0, 0, 1, 1], "abcd", 2),
        ([0] * 9 + [1] * 6, "abcdefghijklmno", 5),
    ],
)
def test_there_are_as_many_folds_as_the_smaller_class_has_patients(classes, patients, times):
    assert len(folds.by_patient(np.array(classes), pd.Series(list(patients)))) == times
