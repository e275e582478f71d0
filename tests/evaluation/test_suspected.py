"""The list of suspected labels, and metrics without them."""

import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_scores import drawn_scores

from pneumo.errors import ManifestError
from pneumo.evaluation import metrics, suspected
from pneumo.evaluation.evaluate import measure

# By hand, at a threshold of 0.5. All ten: tp 4, fn 1, tn 3, fp 2. Without n4, n5 and p5: tp 4, fn 0, tn 3, fp 0.
SCORES = {
    **{"n1": 0.1, "n2": 0.2, "n3": 0.45, "n4": 0.7, "n5": 0.9},
    **{"p1": 0.55, "p2": 0.6, "p3": 0.8, "p4": 0.95, "p5": 0.3},
}
TABLE = pd.DataFrame(
    {
        "image": list(SCORES),
        "patient": list(SCORES),
        "label": [int(name.startswith("p")) for name in SCORES],
        "subtype": ["viral" if name.startswith("p") else "normal" for name in SCORES],
        "score": list(SCORES.values()),
        "logit": list(SCORES.values()),
    }
)
CASES = {
    "none": ([], (10, 0, 0), (0.7, 0.8, 0.6, 4 / 6, 8 / 11, 17 / 25)),
    "of no test image": (["train/1"], (10, 0, 0), (0.7, 0.8, 0.6, 4 / 6, 8 / 11, 17 / 25)),
    "a normal that is called pneumonia": (["n5"], (9, 1, 0), (7 / 9, 0.8, 0.75, 0.8, 0.8, 16 / 20)),
    "all that is wrong": (["n4", "n5", "p5"], (7, 2, 1), (1, 1, 1, 1, 1, 1)),
    "what is right": (["p1", "p2", "p3", "p4"], (6, 0, 4), (0.5, 0, 0.6, 0, 0, 2 / 5)),
    "all normals": (["n1", "n2", "n3", "n4", "n5"], (5, 5, 0), (0.8, 0.8, 0, 1, 8 / 9, None)),
    "all": (list(SCORES), (0, 5, 5), (0, 0, 0, 0, 0, None)),
}


@pytest.mark.parametrize(("images", "left", "expected"), CASES.values(), ids=CASES)
def test_metrics_are_those_of_the_images_that_are_left(images, left, expected):
    values = suspected.without(TABLE, 0.5, images)
    assert (values.pop("images"), *values.pop("left_out").values()) == left
    assert values == {
        key: value if value is None else round(value, 6) for key, value in zip(suspected.KEYS, expected, strict=True)
    }


def test_the_threshold_stays_the_same():
    assert suspected.without(TABLE, 0.65, ["n4"])["recall"] == 2 / 5


ABOUT = {"thresholds": None, "stress_logits": None, "temperature": 1.0, "prevalence": 0.1}


def test_figures_of_a_model_have_the_group_where_there_is_a_list_and_only_there():
    table = drawn_scores(1.2, n=60, split="test")
    plain = measure(table, 0.4, validation=table, **ABOUT)
    assert suspected.GROUP not in plain
    images = table["image"].tolist()[:7]
    values = measure(table, 0.4, validation=table, suspected_images=images, **ABOUT)
    assert values == plain | {suspected.GROUP: suspected.without(table, 0.4, images)}
    rest = table.iloc[7:]
    of_rest = metrics.decisions(rest["label"], rest["score"], 0.4, rest["subtype"])
    assert values[suspected.GROUP]["f1"] == of_rest["f1"]
    assert values[suspected.GROUP]["roc_auc"] == metrics.ranking(rest["label"], rest["score"])["roc_auc"]


LISTED = pd.DataFrame(
    [
        ("train/b.jpeg", "B, jr.", 1, "train", 0.1234567),
        ("test/a.jpeg", "A", 0, "test", 1.5e-7),
        ("train/c.jpeg", "007", 0, "val", 0.15),
    ],
    columns=list(suspected.COLUMNS),
)
WRITTEN = (
    "image,patient,label,split,probability\n"
    "test/a.jpeg,A,0,test,1.5e-07\n"
    'train/b.jpeg,"B, jr.",1,train,0.123457\n'
    "train/c.jpeg,007,0,val,0.15\n"
)


def test_the_list_is_sorted_and_read_as_it_was_written(tmp_path):
    path = tmp_path / "scores/list.csv"
    suspected.write(LISTED, path)
    assert path.read_text() == WRITTEN
    assert suspected.to_text(suspected.read(path)) == WRITTEN


def test_an_empty_list_has_its_header_and_is_read(tmp_path):
    suspected.write(LISTED.head(0), tmp_path / "list.csv")
    empty = suspected.read(tmp_path / "list.csv")
    assert empty.empty
    assert (tmp_path / "list.csv").read_text() == "image,patient,label,split,probability\n"
    about = suspected.summary(empty)
    assert {key: about[key] for key in about if key != "sha256"} == {
        **{"images": 0, "normal": 0, "pneumonia": 0, "in_test": 0, "first": []},
    }


def test_the_summary_counts_and_names_the_least_probable_first():
    about = suspected.summary(LISTED)
    assert len(about.pop("sha256")) == 64
    assert about == {
        **{"images": 3, "normal": 2, "pneumonia": 1, "in_test": 1},
        "first": ["test/a.jpeg", "train/b.jpeg", "train/c.jpeg"],
    }


@given(st.lists(st.floats(0, 1), max_size=8))
def test_what_is_read_back_has_the_same_summary(probabilities):
    """To six digits, as the audit gives them: a tie in these is a tie in both."""
    rows = [(f"{at}.jpeg", "p", 0, "test", float(f"{value:.6g}")) for at, value in enumerate(probabilities)]
    listed = pd.DataFrame(rows, columns=list(suspected.COLUMNS))
    again = suspected.parse(io.StringIO(suspected.to_text(listed)), "list")
    assert suspected.summary(again) == suspected.summary(listed)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("split,", "part,", "no column 'split'"),
        ("A,0", "A,2", "test/a.jpeg has a label that is neither 0 nor 1"),
        ("val", "validation", "train/c.jpeg has a split that is none of train, val, test"),
        ("0.15\n", "1.5\n", r"train/c.jpeg has a probability that is not in \[0, 1\]"),
        ("0.15\n", "low\n", r"train/c.jpeg has a probability that is not in \[0, 1\]"),
        ("0.15\n", "\n", r"train/c.jpeg has a probability that is not in \[0, 1\]"),
        ("train/c", "test/a", "test/a.jpeg is listed twice"),
    ],
)
def test_a_list_that_breaks_the_contract_is_refused(old, new, words):
    with pytest.raises(ManifestError, match=f"^list.*{words}"):
        suspected.parse(io.StringIO(WRITTEN.replace(old, new)), "list")


def test_a_missing_list_names_the_stage_that_writes_it(tmp_path):
    with pytest.raises(ManifestError, match=r"list.csv is missing: run `dvc repro audit`"):
        suspected.read(tmp_path / "list.csv")
