"""Two commits of a real repository -> the verdict, its reasons, and what changed."""

import json

import numpy as np
import pytest
import yaml
from project import Project, git, review, table

from pneumo.evaluation import metrics
from pneumo.review import result, snapshot
from pneumo.scoring import scores


def test_identical_commits_are_within_noise_with_no_difference(project):
    project.commit()
    outcome = review(project)
    assert outcome.verdict == "within noise"
    assert [other.verdict for other in outcome.others] == ["within noise"]
    for comparison in (outcome.selected, *outcome.others):
        assert comparison.unchanged
        assert comparison.flips == []
        assert {row.difference for row in comparison.rows} == {0}
        assert {row.interval for row in comparison.rows} == {(0, 0)}
        assert {row.p for row in comparison.rows if row.test} == {1}
    assert outcome.changes == type(outcome.changes)([], [], [], [], [], [], [])


@pytest.mark.parametrize(
    ("before", "after", "verdict"), [(1.6, 0.8, "better"), (0.8, 1.6, "worse"), (1.0, 1.0, "within noise")]
)
def test_a_better_model_is_better_and_the_other_way_round_worse(tmp_path, before, after, verdict):
    project = Project(tmp_path / "p", {"cnn": before})
    project.commit()
    project.score("cnn", table(after, seed=1))
    project.select("cnn")
    project.commit()
    outcome = review(project)
    assert outcome.verdict == verdict
    assert result.EXIT[outcome.verdict] == {"better": 0, "within noise": 0, "worse": 1}[verdict]


def test_figures_are_those_of_metrics_to_the_last_digit(project):
    project.score("cnn", table(1.2, seed=5))
    project.select("cnn")
    project.commit()
    selected = review(project).selected
    for row in selected.rows:
        for side, commit in (("base", "main~1"), ("head", "main")):
            committed = json.loads(git(project.root, "show", f"{commit}:metrics/cnn.json"))
            assert getattr(row, side) == committed[row.metric]
        assert row.difference == pytest.approx(row.head - row.base, abs=1e-9)
    written = scores.read_scores(project.root / "scores/test/cnn.csv")
    assert selected.row("roc_auc").head == metrics.ranking(written["label"], written["score"])["roc_auc"]


def test_another_model_may_be_selected(project):
    project.select("vgg16")
    project.commit()
    outcome = review(project)
    assert (outcome.selected.base, outcome.selected.head) == ("cnn", "vgg16")
    assert [(other.base, other.head) for other in outcome.others] == [("cnn", "cnn"), ("vgg16", "vgg16")]


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
    project.select("cnn")
    project.commit()
    comparison = review(project).selected
    assert comparison.reasons == []
    flips = comparison.flips
    called = [(scored["score"] >= threshold) for scored in (test, changed)]
    expected = test[called[0] != called[1]]
    assert {flip["image"] for flip in flips} == set(expected["image"])
    assert [flip["right"] for flip in flips] == [False] * 3 + [True] * 2
    for flip in flips:
        row = test["image"] == flip["image"]
        assert flip["base"] == test.loc[row, "score"].item()
        assert flip["head"] == changed.loc[row, "score"].item()
        assert flip["right"] == ((flip["head"] >= threshold) == flip["label"])


def test_candidates_are_those_of_params_yaml_and_leftovers_count_for_nothing(project):
    del project.params["model"]["vgg16"]
    project.params["model"]["resnet50"] = {"lr": 0.1}
    project.score("resnet50", table(1.0, seed=9))
    project.commit()
    outcome = review(project)
    assert (outcome.only_base, outcome.only_head) == (["vgg16"], ["resnet50"])
    assert outcome.others == []


def test_a_renamed_backbone_is_recognised_by_its_parameters(project):
    project.params["model"]["small_cnn"] = project.params["model"].pop("cnn")
    project.score("small_cnn", table(1.0))
    project.select("small_cnn")
    project.commit()
    outcome = review(project)
    assert (outcome.selected.base, outcome.selected.head) == ("cnn", "small_cnn")
    assert (outcome.only_base, outcome.only_head) == ([], [])
    assert outcome.verdict == "within noise"


def test_an_ensemble_is_a_candidate_too(project):
    project.params["ensembles"] = {"both": {"top": "all"}}
    project.score("both", table(0.9, seed=4))
    project.commit()
    project.commit()
    assert [other.head for other in review(project).others] == ["vgg16", "both"]


def test_what_changed_is_listed(project):
    project.params["model"]["cnn"]["lr"] = 0.01
    project.params["model"]["resnet50"] = {"lr": 0.1}
    project.data["splits"]["train"]["images"] = 310
    (project.root / "requirements.lock").write_text("torch==2.14.0 \\\n    --hash=sha256:1\nnumpy==2.1.0\n")
    (project.root / "pneumo/training/augment.py").write_text("# edited\n")
    (project.root / "pneumo/cli.py").unlink()
    (project.root / "pneumo/training/new.py").write_text("# added\n")
    project.score("resnet50", table(1.0))
    project.commit()
    changes = review(project).changes
    assert changes.params == [("model.cnn.lr", 0.001, 0.01), ("model.resnet50", "(absent)", {"lr": 0.1})]
    assert changes.data == [("splits.train.images", 300, 310)]
    assert changes.code == [
        ("pneumo/training/augment.py", "changed", ["train"]),
        ("pneumo/training/new.py", "added", ["train"]),
        ("pneumo/cli.py", "removed", []),
    ]
    assert changes.libraries == [("torch", "2.13.0", "2.14.0"), ("numpy", "(absent)", "2.1.0")]


def test_code_of_the_working_tree_counts_committed_or_not(project):
    lock = yaml.safe_load((project.root / "dvc.lock").read_text())
    lock["stages"]["train@old"] = {"cmd": "x", "deps": [{"path": "pneumo/cli.py", "md5": "1" * 32}]}
    lock["stages"]["audit"] = {"cmd": "x", "deps": [{"path": "pneumo/training/augment.py", "md5": "1" * 32}]}
    (project.root / "dvc.lock").write_text(yaml.safe_dump(lock))
    (project.root / ".gitignore").write_text("__pycache__/\n")
    project.commit()
    (project.root / "pneumo/training/augment.py").write_text("# edited\n")
    (project.root / "pneumo/cli.py").write_text("# edited: no stage of this line-up depends on it\n")
    (project.root / "pneumo/__pycache__").mkdir()
    (project.root / "pneumo/__pycache__/cli.pyc").write_text("")
    base, head = snapshot.commit(project.root, "main"), snapshot.working_tree(project.root)
    assert result.review(base, head).changes.code == [
        ("pneumo/training/augment.py", "changed", ["audit", "train"]),
        ("pneumo/cli.py", "changed", []),
    ]
