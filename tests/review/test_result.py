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
    written = scores.read_scores(project.root / "scores/test/cnn.csv")
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
