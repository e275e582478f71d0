import pandas as pd
import pytest

from pneumo.errors import TrainingError
from pneumo.training.balance import shares

ROWS = pd.DataFrame(
    [(0, "a")] * 30 + [(1, "a")] * 60 + [(0, "b")] * 10 + [(1, "c")] * 5,  # b has normals alone, c pneumonias alone
    columns=["label", "site"],
)


def total(imbalance, *columns):
    return ROWS.assign(share=shares(ROWS, imbalance)).groupby(list(columns))["share"].sum().round(9).to_dict()


def test_without_balance_all_images_are_alike():
    assert shares(ROWS, "none") == pytest.approx(1 / 105)


@pytest.mark.parametrize("imbalance", ["weights", "sampling"])
def test_both_classes_have_the_same_share(imbalance):
    assert total(imbalance, "label") == {0: 0.5, 1: 0.5}
    assert total(imbalance, "label", "site")[0, "a"] == 0.375


def test_in_each_class_every_site_that_has_it_has_the_same_share():
    assert total("sites", "label", "site") == {(0, "a"): 0.25, (0, "b"): 0.25, (1, "a"): 0.25, (1, "c"): 0.25}


def test_sites_that_are_not_known_are_an_error_with_three_ways_out():
    with pytest.raises(TrainingError, match=r"no column 'site'.*sites\.NAME.*columns\.keep.*imbalance=sampling"):
        shares(ROWS[["label"]], "sites")
