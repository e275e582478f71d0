import pandas as pd
import pytest

from pneumo.errors import ManifestError
from pneumo.scoring import scores


def table(**changes) -> pd.DataFrame:
    rows = {"image": ["b", "a"], "patient": ["1", "2"], "label": [1, 0], "subtype": ["viral", "normal"]}
    return pd.DataFrame(rows | {"score": [0.123456789, 1e-9], "logit": [-1.9600812345, -20.7232658]} | changes)


def test_scores_are_sorted_and_have_six_significant_digits(tmp_path):
    scores.write(table(), tmp_path / "new" / "scores.csv")
    assert (tmp_path / "new" / "scores.csv").read_text().splitlines() == [
        "image,patient,label,subtype,score,logit",
        "a,2,0,normal,1e-09,-20.7233",
        "b,1,1,viral,0.123457,-1.96008",
    ]


def test_a_file_linked_to_the_cache_of_dvc_is_replaced_not_written_into(tmp_path):
    scores.write(table(), tmp_path / "cached.csv")
    (tmp_path / "scores.csv").hardlink_to(tmp_path / "cached.csv")
    before = (tmp_path / "cached.csv").read_bytes()
    scores.write(table(score=[0.5, 0.5]), tmp_path / "scores.csv")
    assert (tmp_path / "cached.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"score": [0.2, 1.2]}, "score of a is not a probability"),
        ({"score": [0.2, float("nan")]}, "score of a is not a number"),
        ({"logit": [0.2, float("inf")]}, "logit of a is not a number"),
        ({"logit": [0.2, "high"]}, "logit of a is not a number"),
        ({"image": ["a", "a"]}, "a has two scores"),
        ({"label": [1, 2]}, "label of a is neither 0 nor 1"),
    ],
)
def test_broken_scores_are_refused(tmp_path, changes, says):
    scores.write(table(**changes), tmp_path / "scores.csv")
    with pytest.raises(ManifestError, match=says):
        scores.read_scores(tmp_path / "scores.csv")


def test_a_table_without_a_column_is_refused_by_name(tmp_path):
    scores.write(table().drop(columns="logit"), tmp_path / "scores.csv")
    with pytest.raises(ManifestError, match="has no column 'logit'"):
        scores.read_scores(tmp_path / "scores.csv")


def test_missing_scores_say_what_to_run(tmp_path):
    with pytest.raises(ManifestError, match="dvc repro"):
        scores.read_scores(tmp_path / "scores.csv")


def test_tables_of_other_images_are_told_apart():
    scores.same_images({"one": table(), "two": table(score=[0.3, 0.4])}, "here")
    with pytest.raises(ManifestError, match="here: two and one are not of the same images"):
        scores.same_images({"one": table(), "two": table(label=[0, 0])}, "here")
