"""Groups of images against the rest."""

import pandas as pd
import pytest
from drawn_scores import scored

from pneumo.external import subgroups


@pytest.mark.parametrize(
    ("age", "band"),
    [
        ("0.5", "0"),
        ("5", "1-5"),
        ("6", "6-17"),
        ("39.5", "18-39"),
        ("80", "80+"),
        ("120", "80+"),
        ("148", ""),
        ("", ""),
        ("060Y", ""),
        ("-3", ""),
        ("nan", ""),
    ],
)
def test_ages_fall_into_bands(age, band):
    assert subgroups.age_band(age) == band


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Films of two views, of which the model ranks one well; ages and a column that identifies."""
    good, bad = scored(0, 4.0, 120).assign(view="PA"), scored(1, 0.0, 120).assign(view="AP")
    rows = pd.concat([good, bad, scored(2, 1.0, 10).assign(view="LL")], ignore_index=True)
    return rows.assign(age=["30", "70"] * (len(rows) // 2), name=rows["image"], sex="")


def test_a_group_is_measured_and_compared_with_the_rest(table):
    rows = subgroups.subgroups(table, ["view", "age", "name", "sex"], threshold=0.5)
    assert [(row["column"], row["value"]) for row in rows] == [("view", "AP"), ("view", "PA")]
    ap, pa = rows
    assert (ap["n"], ap["pneumonia"], pa["n"]) == (120, 60, 120)
    assert ap["roc_auc"] < 0.65 < 0.95 < pa["roc_auc"]
    assert ap["difference"] < 0 < pa["difference"]
    assert ap["p_holm"] >= ap["p"]
    assert ap["p_holm"] < 0.001


def test_groups_that_do_not_differ_are_not_called_different():
    rows = scored(0, 1.0, 400)
    rows["sex"] = ["F", "F", "M", "M"] * 100
    female, male = subgroups.subgroups(rows, ["sex"], threshold=0.5)
    assert female["p"] == pytest.approx(male["p"])
    assert female["p_holm"] > 0.05
    assert female["difference"] == pytest.approx(-male["difference"])
