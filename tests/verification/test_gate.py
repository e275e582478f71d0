"""The gate on this very project, and on clones of it in which one thing contradicts the others."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from clones import clone_to, run

from pneumo.errors import GateError, PneumoError
from pneumo.evaluation import decision
from pneumo.record.record import Model
from pneumo.record.tree import Folder
from pneumo.review import snapshot
from pneumo.review.result import review
from pneumo.scoring import scores
from pneumo.verification import gate, recompute
from pneumo.verification.run import read_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """The working tree in a clone without data, models or cache. Tests undo what they spoil."""
    return clone_to(tmp_path_factory.mktemp("gate") / "pneumo", lock=True)


@pytest.fixture
def spoilt(clone):
    yield clone
    run(clone, "git", "reset", "-q", "--hard")


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def test_the_committed_results_are_those_of_the_committed_code(clone):
    lines = gate.gate(clone)
    assert len(lines) == 6
    assert "stages unchanged" in lines[3]
    assert not (clone / "data").exists(), "no data are needed"


@pytest.mark.parametrize(
    ("path", "before", "after", "message"),
    [
        ("params.yaml", "cases: 4", "cases: 5", "params.yaml: explain.cases is 5, conf/ composes to 4"),
        ("conf/config.yaml", "resamples: 2000", "resamples: 900", "bootstrap.resamples is 2000, conf/ composes to 900"),
        ("pneumo/training/train.py", '"""', '"""Other words. ', "pneumo/training differs from dvc.lock: train@cnn"),
        ("metrics/cnn.json", '"tp"', '"TP"', "metrics/cnn.json differs from dvc.lock: evaluate@cnn"),
        ("scores/test/cnn.csv", "bacterial", "viral", "scores/test differs from dvc.lock: score"),
        ("reports/plots/roc.csv", "cnn", "CNN", "reports/plots differs from dvc.lock: report"),
        ("dvc.yaml", "stages.calibrate ${key}", "stages.calibrate  ${key}", "changed command differs from dvc.lock"),
    ],
)
def test_one_thing_that_does_not_fit_is_named(spoilt, path, before, after, message):
    edit(spoilt / path, before, after)
    with pytest.raises(GateError) as raised:
        gate.gate(spoilt)
    assert message in str(raised.value)
    assert "Run `dvc repro`" in str(raised.value) or "Change conf/" in str(raised.value)


def test_parameters_of_conf_and_params_yaml_that_agree_need_a_run_all_the_same(spoilt):
    edit(spoilt / "conf/config.yaml", "cases: 4", "cases: 5")
    edit(spoilt / "params.yaml", "cases: 4", "cases: 5")
    with pytest.raises(GateError, match=r"params.yaml: explain differs from dvc.lock: explain, report"):
        gate.gate(spoilt)


def test_a_lock_mended_by_hand_is_caught_by_the_scores(spoilt):
    """An ensemble of other members: DVC, which has no models here, cannot know."""
    lock = yaml.safe_load((spoilt / "dvc.lock").read_text())
    path = spoilt / "metrics/ensemble.json"
    content = json.loads(path.read_text()) | {"members": ["cnn", "vgg16"]}
    path.write_text(json.dumps(content, indent=2) + "\n")
    outs = lock["stages"]["evaluate_ensemble@ensemble"]["outs"]
    (out,) = (entry for entry in outs if entry["path"] == "metrics/ensemble.json")
    out |= {"md5": run(spoilt, "md5sum", str(path)).stdout.split()[0], "size": path.stat().st_size}
    (spoilt / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
    with pytest.raises(PneumoError, match=r"metrics/ensemble.json: members"):
        gate.gate(spoilt)


def test_a_lock_whose_stages_read_other_files_than_were_written_is_named(spoilt):
    """The hash of what a stage read, typed in: DVC has no such file here, and does not compare."""
    lock = yaml.safe_load((spoilt / "dvc.lock").read_text())
    (dep,) = (dep for dep in lock["stages"]["calibrate@cnn"]["deps"] if dep["path"] == "outputs/val/cnn/cnn.csv")
    dep["md5"] = "9" * 32
    (spoilt / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
    with pytest.raises(GateError, match=r"calibrate@cnn read another outputs/val/cnn/cnn.csv than predict@cnn wrote"):
        gate.gate(spoilt)


@pytest.mark.parametrize(("stage", "folder"), [("score", "outputs/test"), ("evaluate@cnn", "models/trained/cnn")])
def test_a_lock_whose_stages_read_another_folder_than_was_written_is_named(spoilt, stage, folder):
    lock = yaml.safe_load((spoilt / "dvc.lock").read_text())
    (dep,) = (dep for dep in lock["stages"][stage]["deps"] if dep["path"] == folder)
    dep["md5"] = "9" * 32 + ".dir"
    (spoilt / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
    with pytest.raises(GateError, match=rf"{stage} read another folder {folder} than the stages before it wrote"):
        gate.gate(spoilt)


def test_scores_typed_in_pass_once_metrics_and_lock_fit_and_the_review_shows_the_seam(spoilt):
    """What hashes cannot show (docs/threat-model.md): the gate passes, as it must."""
    test = scores.read_scores(spoilt / "scores/test/cnn.csv")
    better = scores.six_digits(test["logit"] + 0.5 * (2 * test["label"] - 1))
    run_ = read_run(Folder(spoilt))
    type_in(spoilt, run_.models["cnn"], test.assign(logit=better))
    for name in (each for ensemble in run_.basis.ensembles for each in run_.candidates[ensemble]):
        if "cnn" in run_.models[name].metrics["members"]:
            run_ = read_run(Folder(spoilt))
            type_in(spoilt, run_.models[name], recompute.mean_logit(run_, name, "test"))
    run_ = read_run(Folder(spoilt))
    (spoilt / "metrics/best.json").write_text(json.dumps(recompute.best(run_), indent=2) + "\n")
    lock = yaml.safe_load((spoilt / "dvc.lock").read_text())
    for stage in lock["stages"].values():
        for entry in (*stage.get("deps", []), *stage.get("outs", [])):
            if entry["path"].startswith(("scores", "metrics")) and (spoilt / entry["path"]).exists():
                entry["md5"] = hash_of(spoilt / entry["path"])
    (spoilt / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
    run(spoilt, "git", "commit", "-qam", "typed in")
    assert len(gate.gate(spoilt)) == 6
    outcome = review(snapshot.commit(spoilt, "HEAD~1"), snapshot.commit(spoilt, "HEAD"))
    assert {"score", "evaluate@cnn"} <= set(outcome.changes.unexplained)
    assert any(note.startswith("Same inputs, other outputs: ") and "`score`" in note for note in outcome.notes)
    run(spoilt, "git", "reset", "-q", "--hard", "HEAD~1")


def type_in(root: Path, model: Model, logits: pd.DataFrame) -> None:
    """Test scores of a model, and metrics of its candidate, that follow from `logits`."""
    path = root / model.path("metrics")
    old = json.loads(path.read_text())
    scores.write(decision.calibrated(logits, model.metrics["temperature"]), root / model.path("test"))
    new = recompute.metrics(read_run(Folder(root)), model.candidate)
    path.write_text(json.dumps({key: new.get(key, value) for key, value in old.items()}, indent=2) + "\n")


def hash_of(path: Path) -> str:
    """As DVC computes it for a file, and for a folder from the hashes of its files."""
    if path.is_file():
        return hashlib.md5(path.read_bytes()).hexdigest()
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    listed = json.dumps([{"md5": hash_of(path / file), "relpath": file} for file in files])
    return f"{hashlib.md5(listed.encode()).hexdigest()}.dir"


TRAIN = "    do:\n      desc: ${key} -> weights"


@pytest.mark.parametrize(
    ("path", "before", "after", "message"),
    [
        ("dvc.yaml", TRAIN, TRAIN.replace("desc", "frozen: true\n      desc"), "stage train is frozen"),
        ("dvc.yaml", "        - stages/train.py\n", "", "train@cnn depends on stages/train.py in dvc.yaml or in"),
        ("params.yaml", "data:", "<<<<<<< HEAD\ndata:", "params.yaml is not YAML"),
        ("conf/config.yaml", "data: phantom", "data: nowhere", "conf/ does not compose"),
    ],
)
def test_ways_around_it_and_half_merged_files_are_named(spoilt, path, before, after, message):
    edit(spoilt / path, before, after)
    with pytest.raises(PneumoError, match=message):
        gate.gate(spoilt)


def test_a_clone_with_crlf_switched_on_is_the_same(clone, tmp_path):
    crlf = tmp_path / "crlf"
    run(clone, "git", "clone", "-q", "-c", "core.autocrlf=true", str(clone), str(crlf))
    for name in ("metrics/cnn.json", "scores/test/cnn.csv", ".ci/run", "docs/report.png", "dvc.lock"):
        assert (crlf / name).read_bytes() == (clone / name).read_bytes(), name
    assert "stages unchanged" in gate.gate(crlf)[3]


def test_what_is_not_committed_is_named(spoilt):
    (spoilt / "conf/model/new.yaml").write_text("new: {}\n")
    with pytest.raises(GateError, match=r"not committed: conf/model/new\.yaml"):
        gate.gate(spoilt)
    run(spoilt, "git", "clean", "-fdq")
    run(spoilt, "git", "rm", "-q", "--cached", "dvc.lock")
    with pytest.raises(GateError, match=r"not committed: dvc\.lock"):
        gate.gate(spoilt)


def test_files_of_a_dropped_backbone_are_a_finding_and_the_command_removes_them(spoilt):
    for path in ("metrics/old.json", "scores/val/old.csv"):
        (spoilt / path).write_text("of another line-up\n")
    run(spoilt, "git", "add", "-A")
    run(spoilt, "git", "commit", "-qm", "left over")
    with pytest.raises(GateError, match=r"metrics/old.json is left over: .*\n.*\nRemove what is left over") as raised:
        gate.gate(spoilt)
    removal, repro = str(raised.value).splitlines()[-1].split(" && ")
    assert repro == "dvc repro"
    run(spoilt, "sh", "-c", removal)
    run(spoilt, "git", "commit", "-qm", "removed")
    assert len(gate.gate(spoilt)) == 6


def test_the_command_prints_what_it_checked(clone):
    done = subprocess.run([sys.executable, "-m", "pneumo.cli", "gate"], cwd=clone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6


@pytest.mark.parametrize(
    ("path", "folded", "whole"),
    [
        ("dvc.lock", "set", "unset"),
        ("requirements.lock", "set", "unspecified"),
        ("scores/test/cnn.csv", "set", "unset"),
        ("results/cnn-resnet50/scores/val/cnn.csv", "set", "unspecified"),
        ("metrics/best.json", "unspecified", "unset"),
        ("README.md", "unspecified", "unspecified"),
    ],
)
def test_github_folds_locks_and_scores_and_a_merge_keeps_one_side_whole(root, path, folded, whole):
    attributes = run(root, "git", "check-attr", "linguist-generated", "merge", "--", path).stdout.splitlines()
    assert [line.rsplit(": ", 1)[1] for line in attributes] == [folded, whole]
