"""Figures without suspected labels follow from the scores and the list, and the list is the one of the audit."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from records import cell, drop, make, put, run, text

from pneumo.errors import PneumoError
from pneumo.evaluation import suspected

pytestmark = pytest.mark.slow


LIST = "scores/suspected_labels.csv"


def line_of(image: str, table: str) -> str:
    return next(line for line in table.splitlines(keepends=True) if line.startswith(image))


def test_an_old_record_without_a_list_of_suspected_labels_is_verified(copy: Path) -> None:
    without_list(copy)
    assert run(copy).files == 5 * 3 + 4 + 2 + 1 + 2


def without_list(root: Path) -> None:
    (root / LIST).unlink()
    for path in (root / "metrics").glob("*.json"):
        content = json.loads(path.read_text())
        content.pop("without_suspected_labels", None)
        content.pop("audit", None)
        path.write_text(json.dumps(content, indent=2) + "\n")


@pytest.mark.parametrize("suspects", [(), ("train/0005.jpeg",), ("test/0010.jpeg", "test/0080.jpeg")])
def test_figures_without_suspected_labels_are_of_the_other_test_images(tmp_path: Path, suspects: Sequence[str]) -> None:
    root = make(tmp_path, backbones={"cnn": 0.8}, ensembles=(), suspects=suspects)
    run(root)
    figures = json.loads((root / "metrics/cnn.json").read_text())
    table = pd.read_csv(root / "scores/test/cnn.csv")
    rest = table[~table["image"].isin(suspects)]
    group = figures["without_suspected_labels"]
    assert group["images"] == len(rest)
    assert sum(group["left_out"].values()) == 90 - len(rest)
    right = (rest["score"] >= figures["threshold"]) == (rest["label"] == 1)
    assert group["accuracy"] == round(right.mean(), 6)
    if len(rest) == 90:
        assert all(group[key] == figures[key] for key in suspected.KEYS)
    best = json.loads((root / "metrics/best.json").read_text())
    assert best["without_suspected_labels"] == group


SPOILT = {
    "a figure without suspects": (
        put("metrics/cnn.json", "without_suspected_labels.recall", 0.5),
        ["metrics/cnn.json", "without_suspected_labels.recall is 0.5", LIST],
    ),
    "a suspect of an ensemble": (
        put("metrics/ensemble.json", "without_suspected_labels.left_out.normal", 0),
        ["metrics/ensemble.json", "without_suspected_labels.left_out.normal is 0; recomputed 1"],
    ),
    "figures of the best without suspects": (
        put("metrics/best.json", "without_suspected_labels.images", 90),
        ["metrics/best.json", "without_suspected_labels.images is 90; recomputed 88"],
    ),
    "no figures without suspects": (
        drop("metrics/cnn.json", "without_suspected_labels"),
        ["metrics/cnn.json", "without_suspected_labels is missing"],
    ),
    "no list": (lambda root: (root / LIST).unlink(), [f"{LIST} is missing", "data.json has its SHA-256"]),
    "a broken list": (lambda root: (root / LIST).write_text("image,label\n"), [LIST, "no column 'patient'"]),
    "a suspect less": (
        text(LIST, lambda old: old.replace(line_of("test/0080.jpeg", old), "")),
        ["data.json", "audit.suspected_labels.images is 4; recomputed 3", LIST],
    ),
    "another suspect": (
        text(LIST, lambda old: old.replace("0900", "0901")),
        ["data.json", "suspected_labels.first[3] is 'train/0900.jpeg'; recomputed 'train/0901.jpeg'"],
    ),
    "a suspect of another label": (
        cell(LIST, 2, "label", "1"),
        [LIST, "label and split of test/0010.jpeg are test-5, 1, test; by the scores, test-5, 0, test"],
    ),
    "a test image listed as one of training": (
        cell(LIST, 2, "split", "train"),
        [LIST, "test/0010.jpeg are test-5, 0, train; by the scores, test-5, 0, test", "test/cnn.csv"],
    ),
    "an image listed as one of test": (
        cell(LIST, 5, "split", "test"),
        [LIST, "train/0900.jpeg are other-3, 0, test; by the scores, other-3, 0, train"],
    ),
    "a probability": (cell(LIST, 5, "probability", "0.05"), ["data.json", "suspected_labels.sha256 is", LIST]),
    "no probability": (cell(LIST, 5, "probability", "2"), [LIST, "train/0900.jpeg has a probability that is not"]),
    "digits of a probability": (cell(LIST, 5, "probability", "0.0400"), [LIST, "line 5, probability of train/0900"]),
    "a suspect twice": (text(LIST, lambda old: old + line_of("train/0900.jpeg", old)), [LIST, "listed twice"]),
    "another order of suspects": (
        text(LIST, lambda old: "\n".join([*old.split("\n")[:1], *old.split("\n")[-2:0:-1], ""])),
        [LIST, "line 2, image of"],
    ),
    "a count of suspects": (
        put("metrics/data.json", "audit.suspected_labels.in_test", 1),
        ["data.json", "audit.suspected_labels.in_test is 1; recomputed 2", LIST],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_whatever_is_spoilt_about_suspects_is_found_and_named(copy: Path, what: str) -> None:
    spoil, words = SPOILT[what]
    spoil(copy)
    with pytest.raises(PneumoError) as caught:
        run(copy)
    assert all(word in str(caught.value) for word in words), str(caught.value)
