"""Two commits of a real repository -> the verdict, its reasons, and what changed."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from project import Project, figures, git, table
from statsmodels.stats.multitest import multipletests

from pneumo import metrics, scores
from pneumo.errors import ReviewError
from pneumo.review import comparison, result, snapshot


def review(project: Project, base: str = "main~1", head: str = "main") -> result.Result:
    return result.review(snapshot.commit(project.root, base), snapshot.commit(project.root, head))


def test_identical_commits_are_within_noise_with_no_difference(project):
    project.commit()
    found = review(project)
    assert found.verdict == "within noise"
    assert [one.verdict for one in found.others] == ["within noise"]
    for one in (found.chosen, *found.others):
        assert one.unchanged
        assert one.flips == []
        assert {row.difference for row in one.rows} == {0}
        assert {row.interval for row in one.rows} == {(0, 0)}
        assert {row.p for row in one.rows if row.test} == {1}
    assert found.changes == type(found.changes)([], [], [], [])


@pytest.mark.parametrize(
    ("before", "after", "says"), [(1.6, 0.8, "better"), (0.8, 1.6, "worse"), (1.0, 1.0, "within noise")]
)
def test_a_better_model_is_better_and_the_other_way_round_worse(tmp_path, before, after, says):
    project = Project(tmp_path / "p", {"cnn": before})
    project.commit()
    project.score("cnn", table(after, seed=1))
    project.choose("cnn")
    project.commit()
    found = review(project)
    assert found.verdict == says
    assert result.EXIT[found.verdict] == {"better": 0, "within noise": 0, "worse": 1}[says]


def test_figures_are_those_of_metrics_to_the_last_digit(project):
    project.score("cnn", table(1.2, seed=5))
    project.choose("cnn")
    project.commit()
    chosen = review(project).chosen
    for row in chosen.rows:
        for side, commit in (("base", "main~1"), ("head", "main")):
            committed = json.loads(git(project.root, "show", f"{commit}:metrics/cnn.json"))
            assert getattr(row, side) == committed[row.metric]
        assert row.difference == pytest.approx(row.head - row.base, abs=1e-9)
    written = scores.read(project.root / "scores/test/cnn.csv")
    assert chosen.row("roc_auc").head == metrics.ranking(written["label"], written["score"])["roc_auc"]


def test_another_model_may_be_chosen(project):
    project.choose("vgg16")
    project.commit()
    found = review(project)
    assert (found.chosen.base, found.chosen.head) == ("cnn", "vgg16")
    assert [(one.base, one.head) for one in found.others] == [("cnn", "cnn"), ("vgg16", "vgg16")]


def test_flipped_cases_come_with_both_scores_and_wrong_ones_first(project):
    test = table(1.0)
    threshold = 0.5
    changed = test.copy()
    right = test.index[(test["score"] >= threshold) == test["label"]]
    wrong = test.index.difference(right)
    for place, score in zip([*right[:3], *wrong[:2]], (0.99, 0.01, 0.98, 0.02, 0.03), strict=True):
        score = score if (test["score"][place] < threshold) == (score >= threshold) else 1 - score
        changed.loc[place, ["score", "logit"]] = scores.six_digits([score, np.log(score / (1 - score))])
    project.score("cnn", changed)
    project.choose("cnn")
    project.commit()
    found = review(project).chosen
    assert found.reasons == []
    flips = found.flips
    called = [(one["score"] >= threshold) for one in (test, changed)]
    expected = test[called[0] != called[1]]
    assert {flip["image"] for flip in flips} == set(expected["image"])
    assert [flip["right"] for flip in flips] == [False] * 3 + [True] * 2
    for flip in flips:
        row = test["image"] == flip["image"]
        assert flip["base"] == test.loc[row, "score"].item()
        assert flip["head"] == changed.loc[row, "score"].item()
        assert flip["right"] == ((flip["head"] >= threshold) == flip["label"])


# What makes two commits incomparable: how head is spoilt, what is said, and whether common images are still compared.
def relabelled(test: pd.DataFrame) -> pd.DataFrame:
    return test.assign(label=test["label"].where(test.index != 4, 1 - test["label"]))


def regrouped(test: pd.DataFrame) -> pd.DataFrame:
    return test.assign(patient=test["patient"].where(test.index > 2, "someone"))


@pytest.mark.parametrize(
    ("spoil", "says"),
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
def test_other_test_images_or_labels_are_not_comparable_but_common_ones_are_compared(project, spoil, says):
    test = spoil(table(1.0)).sort_values("image")
    project.score("cnn", test)
    project.choose("cnn")
    project.commit()
    found = review(project)
    assert found.verdict == "not comparable"
    assert result.EXIT[found.verdict] == 3
    assert found.chosen.reasons[0].startswith(says)
    assert found.chosen.on_common == "within noise"
    alike = table(1.0).merge(test[["image", "patient", "label"]])
    assert found.chosen.n == len(alike)
    for metric in ("accuracy", "recall", "roc_auc"):
        row = found.chosen.row(metric)
        assert (row.base, row.head) == (figures(alike)[metric], figures(alike)[metric])


def test_a_reason_says_what_became_of_the_label_or_the_patient(project):
    project.score("cnn", relabelled(regrouped(table(1.0))))
    project.choose("cnn")
    project.commit()
    reasons = review(project).chosen.reasons
    assert [reason.split(") ")[1] for reason in reasons] == ["has another label", "have another patient"]


def test_another_validation_part_is_another_split(project):
    validation = table(1.0, "val")
    project.score("cnn", table(1.0), validation.drop(index=[1, 2]))
    project.commit()
    found = review(project).chosen
    assert found.verdict == "not comparable"
    assert found.reasons[0].startswith("2 validation images (`val/")
    assert found.reasons[0].endswith(") only in base")
    assert found.on_common == "within noise"
    assert found.n == len(table(1.0))


def test_an_image_that_crosses_from_test_to_validation_is_said(project):
    test, validation = table(1.0), table(1.0, "val")
    project.score("cnn", test.iloc[1:], pd.concat([validation, test.iloc[:1]]).sort_values("image"))
    project.choose("cnn")
    project.commit()
    assert "1 image (`test/NORMAL/000.jpeg`) went from test to validation" in review(project).chosen.reasons


def test_test_images_with_the_same_names_and_other_contents_are_not_compared(project):
    project.data["manifest_sha256"] = "9" * 64
    project.data["parts_sha256"] = {"train": "1" * 64, "val": "2" * 64, "test": "9" * 64}
    project.commit()
    found = review(project)
    assert found.verdict == "not comparable"
    assert "same names and other contents" in found.chosen.reasons[0]
    assert found.chosen.rows == []


def test_other_training_images_are_noted_and_compared(project):
    project.data["manifest_sha256"] = "9" * 64
    project.data["parts_sha256"] = {"train": "9" * 64, "val": "2" * 64, "test": "3" * 64}
    project.commit()
    found = review(project)
    assert found.verdict == "within noise"
    assert found.notes == ["The training images differ, so the difference is that of data and code together."]


def test_of_an_old_commit_without_digests_the_pixels_are_said_to_be_unknown(project):
    del project.data["parts_sha256"]
    project.data["manifest_sha256"] = "9" * 64
    project.commit()
    assert "has no `parts_sha256`" in review(project).notes[0]


@pytest.mark.parametrize(
    ("path", "content", "says"),
    [
        ("scores/test/cnn.csv", None, r"main \([0-9a-f]{10}\) has no scores/test/cnn.csv"),
        ("scores/val/cnn.csv", None, r"has no scores/val/cnn.csv"),
        ("metrics/best.json", None, r"has no metrics/best.json: no results of the pipeline are committed there"),
        ("metrics/cnn.json", None, r"metrics/best.json names cnn, and its accuracy is not that of metrics/cnn.json"),
        ("scores/test/cnn.csv", "image,patient\n", r"[0-9a-f]{10}:scores/test/cnn.csv has no column 'label'"),
        ("scores/test/cnn.csv", "", r"scores/test/cnn.csv is not a table"),
        ("scores/test/cnn.csv", "image,patient,label,subtype,score\na,p,1,viral,1.5\n", r"not a probability"),
    ],
)
@pytest.mark.parametrize("side", ["base", "head"])
def test_what_one_commit_lacks_is_named_and_not_comparable(project, path, content, says, side):
    whole = git(project.root, "rev-parse", "HEAD")
    if content is None:
        (project.root / path).unlink()
    else:
        (project.root / path).write_text(content)
    spoilt = project.commit()
    git(project.root, "branch", "-f", "whole", whole)
    found = review(project, *(("main", "whole") if side == "base" else ("whole", "main")))
    assert found.verdict == "not comparable"
    assert any(re.search(says, reason) for reason in found.chosen.reasons), (found.chosen.reasons, spoilt)


def test_metrics_that_are_not_those_of_the_scores_are_not_believed(project):
    for name in ("cnn", "best"):
        path = project.root / f"metrics/{name}.json"
        content = json.loads(path.read_text())
        project.write(f"metrics/{name}.json", content | {"recall": 0.999})
    project.commit()
    found = review(project)
    assert found.verdict == "not comparable"
    assert "says recall 0.999, and scores/test/cnn.csv there gives" in found.chosen.reasons[0]


@pytest.mark.parametrize("path", ["params.yaml", "dvc.lock", "metrics/data.json", "metrics/best.json"])
def test_a_file_with_conflict_markers_stops_the_review(project, path):
    project.commit()
    (project.root / path).write_text("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n")
    git(project.root, "commit", "-qam", "spoilt")
    if path == "metrics/best.json":
        assert "cannot be read" in review(project).chosen.reasons[0]
    else:
        with pytest.raises(ReviewError, match=f"[0-9a-f]{{10}}:{path} cannot be read"):
            review(project)


def test_a_test_part_of_one_class_or_patient_is_not_comparable(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 1.0})
    test = table(1.0)
    one = test[(test["label"] == 1) | (test["patient"] == "test-0")]
    for _ in range(2):
        project.score("cnn", one)
        project.choose("cnn")
        project.commit()
    found = review(project)
    assert found.verdict == "not comparable"
    assert found.chosen.reasons == ["the test part has no images of two classes, of two or more patients each"]


def test_candidates_are_those_of_params_yaml_and_leftovers_count_for_nothing(project):
    del project.params["model"]["vgg16"]
    project.params["model"]["resnet50"] = {"lr": 0.1}
    project.score("resnet50", table(1.0, seed=9))
    project.commit()
    found = review(project)
    assert (found.only_base, found.only_head) == (["vgg16"], ["resnet50"])
    assert found.others == []


def test_a_renamed_backbone_is_recognised_by_its_parameters(project):
    project.params["model"]["small_cnn"] = project.params["model"].pop("cnn")
    project.score("small_cnn", table(1.0))
    project.choose("small_cnn")
    project.commit()
    found = review(project)
    assert (found.chosen.base, found.chosen.head) == ("cnn", "small_cnn")
    assert (found.only_base, found.only_head) == ([], [])
    assert found.verdict == "within noise"


def test_an_ensemble_is_a_candidate_too(project):
    project.params["ensembles"] = {"both": {"top": "all"}}
    project.score("both", table(0.9, seed=4))
    project.commit()
    project.commit()
    assert [one.head for one in review(project).others] == ["vgg16", "both"]


def test_other_models_are_corrected_for_their_number_and_unchanged_ones_do_not_count(tmp_path):
    project = Project(tmp_path / "p", dict.fromkeys(("cnn", "a", "b", "c"), 1.1))
    project.commit()
    for name, noise in (("a", 0.95), ("b", 1.1)):
        project.score(name, table(noise, seed=20 + len(name + str(noise))))
    project.commit()
    found = review(project)
    p = {one.head: one.row("roc_auc").p for one in found.others}
    assert set(found.p_corrected) == {"a", "b"}
    smaller, larger = sorted(("a", "b"), key=p.get)
    assert p[smaller] != p[larger]
    assert found.p_corrected[smaller] == pytest.approx(min(1, 2 * p[smaller]))
    assert found.p_corrected[larger] == pytest.approx(max(p[larger], min(1, 2 * p[smaller])))


def test_a_branch_cannot_loosen_the_rules_by_which_it_is_judged(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 0.8})
    project.commit()
    project.params["review"] = {"metric": "roc_auc", "margin": 0.5, "alpha": 0.001}
    project.score("cnn", table(1.8, seed=1))
    project.choose("cnn")
    project.commit()
    found = review(project)
    assert found.verdict == "worse"
    assert found.rules.margin == 0
    assert found.notes[0].startswith("head changes `review` ({alpha: 0.001, margin: 0.5, metric: roc_auc})")
    project.commit()
    project.params["bootstrap"]["resamples"] = 300
    project.commit()
    assert any("head changes `bootstrap`" in note for note in review(project).notes)


def test_within_the_margin_a_loss_is_tolerated(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 0.8})
    project.params["review"]["margin"] = 0.4
    project.commit()
    project.score("cnn", table(1.8, seed=1))
    project.choose("cnn")
    project.commit()
    found = review(project)
    assert found.verdict == "within noise"
    assert found.chosen.row("roc_auc").p < 0.05


@pytest.mark.parametrize("metric", ["accuracy", "recall", "specificity"])
def test_any_tested_metric_can_decide(tmp_path, metric):
    project = Project(tmp_path / "p", {"cnn": 0.7})
    project.params["review"]["metric"] = metric
    project.commit()
    project.score("cnn", table(2.5, seed=1))
    project.choose("cnn")
    project.commit()
    found = review(project)
    assert found.verdict == "worse"
    assert found.chosen.row(metric).p == found.chosen.row(metric).p_holm


def test_a_rule_that_is_none_is_named(project):
    project.params["review"]["metric"] = "f1"
    project.commit()
    project.commit()
    with pytest.raises(ReviewError, match=r"[0-9a-f]{10}:params.yaml: review.metric: Input should be 'roc_auc'"):
        review(project)


def test_a_base_without_rules_is_judged_by_those_of_head(project):
    del project.params["review"]
    first = project.commit()
    project.params["review"] = {"metric": "accuracy", "margin": 0.0, "alpha": 0.1}
    project.commit()
    assert review(project, first).rules.metric == "accuracy"


def test_what_changed_is_listed(project):
    project.params["model"]["cnn"]["lr"] = 0.01
    project.params["model"]["resnet50"] = {"lr": 0.1}
    project.data["splits"]["train"]["images"] = 310
    (project.root / "requirements.lock").write_text("torch==2.14.0 \\\n    --hash=sha256:1\nnumpy==2.1.0\n")
    lock = project.root / "dvc.lock"
    content = yaml.safe_load(lock.read_text())
    new = {"path": "pneumo/augment.py", "md5": "2" * 32}
    content["stages"] = {
        "train@cnn": {"cmd": "x", "deps": [new]},
        "train@old": {"cmd": "x", "deps": [{"path": "pneumo/old.py", "md5": "1" * 32}]},
        "audit": {"cmd": "x", "deps": [new, {"path": "data/raw", "md5": "7" * 32}]},
    }
    lock.write_text(yaml.safe_dump(content))
    project.score("resnet50", table(1.0))
    project.commit()
    changes = review(project).changes
    assert changes.params == [("model.cnn.lr", 0.001, 0.01), ("model.resnet50", "(absent)", {"lr": 0.1})]
    assert changes.data == [("splits.train.images", 300, 310)]
    assert changes.code == [("pneumo/augment.py", "changed", ["audit", "train"])]
    assert changes.libraries == [("torch", "2.13.0", "2.14.0"), ("numpy", "(absent)", "2.1.0")]


def test_a_threshold_alone_is_a_change_too(tmp_path):
    project = Project(tmp_path / "p", {"cnn": 1.0, "vgg16": 1.0, "resnet50": 1.1})
    project.params["review"]["metric"] = "recall"
    project.commit()
    for name in ("cnn", "vgg16", "resnet50"):
        test = scores.read(project.root / f"scores/test/{name}.csv")
        project.write(f"metrics/{name}.json", figures(test, 0.95))
    project.choose("cnn")
    project.commit()
    found = review(project)
    assert found.verdict == "worse"
    assert not any(one.unchanged for one in (found.chosen, *found.others))
    assert set(found.p_corrected) == {"vgg16", "resnet50"}
    assert found.chosen.flips
    assert found.chosen.row("roc_auc").difference == 0


def test_a_verdict_of_another_model_is_by_its_corrected_p(tmp_path):
    names = [f"m{place:02}" for place in range(12)]
    project = Project(tmp_path / "p", {"cnn": 1.0} | dict.fromkeys(names, 1.15))
    project.commit()
    for place, name in enumerate(names):
        project.score(name, table(0.85 if place == 0 else 1.15, seed=50 + place))
    project.commit()
    found = review(project)
    raw = {one.head: one.row("roc_auc").p for one in found.others}
    assert found.p_corrected == pytest.approx(
        dict(zip(names, multipletests([raw[name] for name in names], method="holm")[1], strict=True))
    )
    assert {one.head: one.verdict for one in found.others} == {
        one.head: comparison.judge(one.row("roc_auc"), found.rules, found.p_corrected[one.head]) for one in found.others
    }
    between = [one for one in found.others if raw[one.head] < 0.05 <= found.p_corrected[one.head]]
    assert between, "one that only the correction saves"
    assert {one.verdict for one in between} == {"within noise"}


def test_a_metric_that_is_off_by_two_in_the_last_digit_is_refused(project):
    for name in ("cnn", "best"):
        content = json.loads((project.root / f"metrics/{name}.json").read_text())
        project.write(f"metrics/{name}.json", content | {"f1": content["f1"] + 2e-6})
    project.commit()
    assert "says f1" in review(project).chosen.reasons[0]


# Content that no stage writes: each is named, none is a traceback.
STOPS = [
    ("dvc.lock", "stages: [1]"),
    ("dvc.lock", "stages: {a: [1]}"),
    ("dvc.lock", "stages: {a: {deps: [null]}}"),
    ("dvc.lock", "stages: {a: {deps: [{path: 5}]}}"),
    ("dvc.lock", "stages: {1: {}}"),
    ("params.yaml", "model: {1: {}}"),
    ("params.yaml", "model: [a]"),
    ("params.yaml", "[1, 2]"),
    ("metrics/data.json", "[" * 100_000),
    ("metrics/data.json", "{1: 2}"),
]
INCOMPARABLE = [
    ("metrics/cnn.json", "[1]", "holds a list"),
    ("metrics/best.json", '{"model": 5}', "names no model"),
    ("scores/test/cnn.csv", "image,patient,label,subtype,score,logit\n", "has no rows"),
    (
        "scores/val/cnn.csv",
        "image,patient,label,subtype,score,logit\na,b,1,viral,0.5,0\na,b,c,d,e,f,g,h\n",
        "is not a table",
    ),
]


@pytest.mark.parametrize(("path", "content"), STOPS)
def test_odd_content_that_stops_the_review_is_named(project, path, content):
    (project.root / path).write_text(content)
    git(project.root, "commit", "-qam", "odd")
    with pytest.raises(ReviewError, match=path):
        review(project)


@pytest.mark.parametrize(("path", "content", "says"), INCOMPARABLE)
def test_odd_content_of_a_model_makes_it_incomparable(project, path, content, says):
    (project.root / path).write_text(content)
    git(project.root, "commit", "-qam", "odd")
    (reason, *_) = review(project).chosen.reasons
    assert says in reason
    assert "\n" not in reason


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1" * 400, "true", '"0.9"', "null"])
def test_a_figure_that_is_no_number_is_not_believed(project, value):
    path = project.root / "metrics/vgg16.json"
    content = json.loads(path.read_text())
    path.write_text(path.read_text().replace(f'"roc_auc": {content["roc_auc"]}', f'"roc_auc": {value}'))
    project.commit()
    (other,) = review(project).others
    assert other.verdict == "not comparable"
    assert "metrics/vgg16.json has no roc_auc, or it is no share" in other.reasons[0]


def test_a_base_without_rules_leaves_a_note(project):
    del project.params["review"]
    first = project.commit()
    project.params["review"] = {"metric": "accuracy", "margin": 0.9, "alpha": 0.1}
    project.commit()
    assert review(project, first).notes == ["base has no `review` in params.yaml; judged by head's."]


def test_validation_images_with_other_contents_are_noted(project):
    project.data["manifest_sha256"] = "9" * 64
    project.data["parts_sha256"] = {"train": "1" * 64, "val": "9" * 64, "test": "3" * 64}
    project.commit()
    assert review(project).notes == [
        "The validation images differ, so the difference is that of data and code together."
    ]


def test_stages_that_ran_with_different_code_are_a_change(project):
    lock = yaml.safe_load((project.root / "dvc.lock").read_text())
    lock["stages"]["audit"] = {"cmd": "x", "deps": [{"path": "pneumo/augment.py", "md5": "2" * 32}]}
    (project.root / "dvc.lock").write_text(yaml.safe_dump(lock))
    project.commit()
    assert review(project).changes.code == [("pneumo/augment.py", "changed", ["audit", "train"])]
