"""What two commits must have alike to be compared, and what is said of files that cannot be read."""

import json
import re

import pandas as pd
import pytest
from project import Project, figures, git, review, table

from pneumo.errors import RecordError
from pneumo.review import result


# What makes two commits incomparable: how head is spoilt, what is said, and whether common images are still compared.
def relabelled(test: pd.DataFrame) -> pd.DataFrame:
    return test.assign(label=test["label"].where(test.index != 4, 1 - test["label"]))


def regrouped(test: pd.DataFrame) -> pd.DataFrame:
    return test.assign(patient=test["patient"].where(test.index > 2, "someone"))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda test: test.drop(index=[0]), "1 test image (`test/NORMAL/000.jpeg`) only in base"),
        (relabelled, "1 test image (`"),
        (regrouped, "3 test images ("),
        (
            lambda test: pd.concat([test, test.tail(5).assign(image=[f"test/NORMAL/x{i}.jpeg" for i in range(5)])]),
            "5 test images (`test/NORMAL/x0.jpeg`, `test/NORMAL/x1.jpeg`, `test/NORMAL/x2.jpeg`, …) only in head",
        ),
    ],
)
def test_other_test_images_or_labels_are_not_comparable_but_common_ones_are_compared(project, spoil, reason):
    test = spoil(table(1.0)).sort_values("image")
    project.score("cnn", test)
    project.select("cnn")
    project.commit()
    outcome = review(project)
    assert outcome.verdict == "not comparable"
    assert result.EXIT[outcome.verdict] == 3
    assert outcome.selected.reasons[0].startswith(reason)
    assert outcome.selected.on_common == "within noise"
    alike = table(1.0).merge(test[["image", "patient", "label"]])
    assert outcome.selected.n == len(alike)
    for metric in ("accuracy", "recall", "roc_auc"):
        row = outcome.selected.row(metric)
        assert (row.base, row.head) == (figures(alike)[metric], figures(alike)[metric])


def test_a_reason_says_what_became_of_the_label_or_the_patient(project):
    project.score("cnn", relabelled(regrouped(table(1.0))))
    project.select("cnn")
    project.commit()
    reasons = review(project).selected.reasons
    assert [reason.split(") ")[1] for reason in reasons] == ["has another label", "have another patient"]


def test_another_validation_set_is_another_split(project):
    val = table(1.0, "val")
    project.score("cnn", table(1.0), val.drop(index=[1, 2]))
    project.commit()
    comparison = review(project).selected
    assert comparison.verdict == "not comparable"
    assert comparison.reasons[0].startswith("2 validation images (`val/")
    assert comparison.reasons[0].endswith(") only in base")
    assert comparison.on_common == "within noise"
    assert comparison.n == len(table(1.0))


def test_validation_that_grows_with_the_data_set_is_compared(project):
    val = table(1.0, "val")
    more = val.iloc[:3].assign(image=["val/a", "val/b", "val/c"], patient=["a", "b", "c"])
    project.score("cnn", table(1.0), pd.concat([val, more]).sort_values("image"))
    project.commit()
    assert (review(project).verdict, review(project).selected.reasons) == ("within noise", [])


def test_validation_that_grows_by_test_images_is_not(project):
    val, test = table(1.0, "val"), table(1.0)
    project.score("cnn", test, pd.concat([val, test.iloc[:1]]).sort_values("image"))
    project.commit()
    assert review(project).verdict == "not comparable"


def test_validation_where_one_image_went_and_another_came_is_another_split(project):
    val = table(1.0, "val")
    project.score("cnn", table(1.0), val.replace({"image": {val["image"].iloc[-1]: "val/z"}}))
    project.commit()
    assert [reason.split(") ")[1] for reason in review(project).selected.reasons] == ["only in base", "only in head"]


def test_an_image_that_crosses_from_test_to_validation_is_a_reason(project):
    test, validation = table(1.0), table(1.0, "val")
    project.score("cnn", test.iloc[1:], pd.concat([validation, test.iloc[:1]]).sort_values("image"))
    project.select("cnn")
    project.commit()
    assert "1 image (`test/NORMAL/000.jpeg`) moved from test to validation" in review(project).selected.reasons


def test_test_images_with_the_same_names_and_other_contents_are_not_compared(project):
    project.data["manifest_sha256"] = "9" * 64
    project.data["parts_sha256"] = {"train": "1" * 64, "val": "2" * 64, "test": "9" * 64}
    project.commit()
    outcome = review(project)
    assert outcome.verdict == "not comparable"
    assert "same names but different contents" in outcome.selected.reasons[0]
    assert outcome.selected.rows == []


def test_other_training_images_are_noted_and_compared(project):
    project.data["manifest_sha256"] = "9" * 64
    project.data["parts_sha256"] = {"train": "9" * 64, "val": "2" * 64, "test": "3" * 64}
    project.commit()
    outcome = review(project)
    assert outcome.verdict == "within noise"
    assert outcome.notes == ["The training images differ, so the difference is due to data and code together."]


def test_of_an_old_commit_without_digests_the_pixels_are_unknown(project):
    del project.data["parts_sha256"]
    project.data["manifest_sha256"] = "9" * 64
    project.commit()
    assert "has no `parts_sha256`" in review(project).notes[0]


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("scores/test/cnn.csv", None, r"[0-9a-f]{10}:scores/test/cnn.csv is missing: run `dvc repro`"),
        ("scores/val/cnn.csv", None, r":scores/val/cnn.csv is missing"),
        ("metrics/best.json", None, r"[0-9a-f]{10}:metrics/best.json is missing: run `dvc repro`"),
        ("metrics/cnn.json", None, r":metrics/cnn.json is missing"),
        ("scores/test/cnn.csv", "image,patient\n", r"[0-9a-f]{10}:scores/test/cnn.csv has no column 'label'"),
        ("scores/test/cnn.csv", "", r"scores/test/cnn.csv is not a table"),
        ("scores/test/cnn.csv", "image,patient,label,subtype,score\na,p,1,viral,1.5\n", r"not a probability"),
    ],
)
@pytest.mark.parametrize("side", ["base", "head"])
def test_what_one_commit_lacks_is_named_and_not_comparable(project, path, content, message, side):
    whole = git(project.root, "rev-parse", "HEAD")
    if content is None:
        (project.root / path).unlink()
    else:
        (project.root / path).write_text(content)
    spoilt = project.commit()
    git(project.root, "branch", "-f", "whole", whole)
    outcome = review(project, *(("main", "whole") if side == "base" else ("whole", "main")))
    assert outcome.verdict == "not comparable"
    assert any(re.search(message, reason) for reason in outcome.selected.reasons), (outcome.selected.reasons, spoilt)


def test_metrics_that_are_not_those_of_the_scores_are_not_believed(project):
    for name in ("cnn", "best"):
        path = project.root / f"metrics/{name}.json"
        content = json.loads(path.read_text())
        project.write(f"metrics/{name}.json", content | {"recall": 0.999})
    project.commit()
    outcome = review(project)
    assert outcome.verdict == "not comparable"
    assert "metrics/cnn.json: recall is 0.999, but scores/test/cnn.csv gives" in outcome.selected.reasons[0]


@pytest.mark.parametrize("path", ["params.yaml", "dvc.lock", "metrics/data.json", "metrics/best.json"])
def test_a_file_with_conflict_markers_stops_the_review(project, path):
    project.commit()
    (project.root / path).write_text("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n")
    git(project.root, "commit", "-qam", "spoilt")
    if path == "metrics/best.json":
        assert "is not JSON" in review(project).selected.reasons[0]
    else:
        with pytest.raises(RecordError, match=f"[0-9a-f]{{10}}:{path} is not (JSON|YAML)"):
            review(project)


def test_a_test_set_of_one_class_or_patient_is_not_comparable(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 1.0})
    test = table(1.0)
    one_class = test[(test["label"] == 1) | (test["patient"] == "test-0")]
    for _ in range(2):
        project.score("cnn", one_class)
        project.select("cnn")
        project.commit()
    outcome = review(project)
    assert outcome.verdict == "not comparable"
    assert outcome.selected.reasons == ["the test set has fewer than two patients in one of the classes"]


def test_a_metric_that_is_off_by_two_in_the_last_digit_is_refused(project):
    for name in ("cnn", "best"):
        content = json.loads((project.root / f"metrics/{name}.json").read_text())
        project.write(f"metrics/{name}.json", content | {"f1": content["f1"] + 2e-6})
    project.commit()
    assert "metrics/cnn.json: f1 is" in review(project).selected.reasons[0]


# Content that no stage writes: each is named, none is a traceback.
STOPS = [
    ("dvc.lock", "stages: [1]"),
    ("params.yaml", "model: {1: {}}"),
    ("params.yaml", "[1, 2]"),
    ("metrics/data.json", "{1: 2}"),
]
INCOMPARABLE = [
    ("metrics/cnn.json", "[1]", "holds a list"),
    ("metrics/best.json", '{"model": 5}', "names no model"),
    ("metrics/best.json", '{"model": "cnn", "n": 1}', "names cnn, but n differs from metrics/cnn.json"),
    ("scores/test/cnn.csv", "image,patient,label,subtype,score,logit\n", "has no rows"),
    (
        "scores/val/cnn.csv",
        "image,patient,label,subtype,score,logit\na,b,1,viral,0.5,0\na,b,c,d,e,f,g,h\n",
        "is not a table",
    ),
]


@pytest.mark.parametrize(("path", "content"), STOPS)
def test_broken_content_that_stops_the_review_is_named(project, path, content):
    (project.root / path).write_text(content)
    git(project.root, "commit", "-qam", "broken")
    with pytest.raises(RecordError, match=path):
        review(project)


@pytest.mark.parametrize(("path", "content", "message"), INCOMPARABLE)
def test_broken_content_of_a_model_makes_it_incomparable(project, path, content, message):
    (project.root / path).write_text(content)
    git(project.root, "commit", "-qam", "broken")
    (reason, *_) = review(project).selected.reasons
    assert message in reason
    assert "\n" not in reason


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1" * 400, "true", '"0.9"', "null"])
def test_a_figure_that_is_no_number_is_not_believed(project, value):
    path = project.root / "metrics/vgg16.json"
    content = json.loads(path.read_text())
    path.write_text(path.read_text().replace(f'"roc_auc": {content["roc_auc"]}', f'"roc_auc": {value}'))
    project.commit()
    (other,) = review(project).others
    assert other.verdict == "not comparable"
    assert "metrics/vgg16.json: roc_auc is " in other.reasons[0]


def test_validation_images_with_other_contents_are_noted(project):
    project.data["manifest_sha256"] = "9" * 64
    project.data["parts_sha256"] = {"train": "1" * 64, "val": "9" * 64, "test": "3" * 64}
    project.commit()
    assert review(project).notes == [
        "The validation images differ, so the difference is due to data and code together."
    ]
