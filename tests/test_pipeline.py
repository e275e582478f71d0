"""The whole pipeline in temporary clones, with the committed graph and smaller numbers."""

import json
import subprocess
import sys

import pytest
import yaml
from clones import ROOT, clone_to, experiment, ran, run


@pytest.fixture(scope="module")
def clones(tmp_path_factory):
    """Two clones, each of which has computed the same small experiment for itself."""
    pair = [clone_to(tmp_path_factory.mktemp(name) / "pneumo") for name in ("first", "second")]
    return pair, [experiment(clone, "model=cnn") for clone in pair]


CHAIN = ["download", "preprocess", "audit", "train@cnn", "validate@cnn", "calibrate@cnn", "evaluate@cnn"]
LAST = ["select_best", "explain", "report"]


@pytest.mark.slow
def test_two_clones_compute_the_same_lock(clones):
    (first, second), outputs = clones
    for output in outputs:
        assert sorted(ran(output)) == sorted(CHAIN + LAST)
    assert (first / "dvc.lock").read_text() == (second / "dvc.lock").read_text()
    for name in (
        "metrics/cnn.json",
        "metrics/best.json",
        "metrics/data.json",
        "scores/val/cnn.csv",
        "scores/test/cnn.csv",
    ):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    status = run(first, "dvc", "status").stdout
    assert "up to date" in status, status


@pytest.mark.slow
def test_a_second_run_runs_no_stage(clones):
    (first, _), _ = clones
    assert ran(run(first, "dvc", "repro").stdout) == []


@pytest.mark.slow
def test_another_backbone_runs_only_its_own_stages_and_metrics_diff_compares(clones):
    (first, _), _ = clones
    run(first, "git", "add", "-A")
    run(first, "git", "commit", "-qm", "cnn")
    before = (first / "metrics/cnn.json").read_bytes()
    output = experiment(first, "model=inceptionv3")
    assert ran(output) == [f"{stage}@inceptionv3" for stage in ("train", "validate", "calibrate", "evaluate")] + LAST
    assert list(yaml.safe_load((first / "params.yaml").read_text())["model"]) == ["inceptionv3"]
    assert json.loads((first / "metrics/best.json").read_text())["model"] == "inceptionv3"
    difference = json.loads(run(first, "dvc", "metrics", "diff", "--json").stdout)
    assert difference["metrics/best.json"]["model"] == {"old": "cnn", "new": "inceptionv3"}
    assert "report.md" in run(first, "ls", "reports").stdout
    (roc,) = json.loads(run(first, "dvc", "plots", "diff", "HEAD", "--json").stdout)["data"]["ROC, test images"]
    assert roc["revisions"] == ["workspace", "HEAD"]
    points = roc["content"] if isinstance(roc["content"], str) else json.dumps(roc["content"])
    assert all(f'"model": "{name}"' in points for name in ("cnn", "inceptionv3")), "one picture of both"
    back = experiment(first, "model=cnn")
    assert set(ran(back)) <= set(LAST), "the lock keeps what was trained before"
    assert (first / "metrics/cnn.json").read_bytes() == before


@pytest.mark.slow
def test_a_threshold_policy_trains_nothing_and_an_ensemble_leaves_its_members_alone(clones):
    (_, second), _ = clones
    run(second, "git", "add", "-A")
    run(second, "git", "commit", "-qm", "cnn")
    policy = ("threshold.policy=sensitivity", "threshold.value=0.9")
    output = experiment(second, "model=cnn", *policy)
    assert set(ran(output)) == {"audit", "calibrate@cnn", "evaluate@cnn", *LAST}
    assert run(second, "pneumo", "verify", ".", check=False).returncode == 1, "of other backbones the files are old"
    members = json.loads((second / "metrics/cnn.json").read_text())
    drop = [f"~model.{name}" for name in ("vgg16", "vgg19", "inceptionv3")]
    experiment(second, *drop, "model.resnet50.input_size=32", *policy, "model.cnn.dropout=0.3")
    assert json.loads((second / "metrics/cnn.json").read_text()) == members
    assert json.loads((second / "metrics/ensemble.json").read_text())["members"] == ["cnn", "resnet50"]
    best = json.loads((second / "metrics/best.json").read_text())
    assert best == {"model": best["model"], **json.loads((second / f"metrics/{best['model']}.json").read_text())}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("model=vgg61", "Could not find 'model/vgg61'"),
        ("data=elsewhere", "Could not find 'data/elsewhere'"),
        ("train.epochs=-1", "train.epochs is -1; expected greater than or equal to 0"),
        ("train.epochs=0", "model.cnn.epochs is 0, which leaves the linear probe alone, and there is none"),
        ("train.epoch=3", "Could not override 'train.epoch'"),
        ("+train.epoch=3", "train.epoch is not a parameter; expected one of accelerator, batch_size"),
        ("data=archive", "data.path is null; data.source=archive needs it: -S data.path="),
    ],
)
def test_a_bad_choice_stops_before_any_work(clones, override, says):
    (_, second), _ = clones
    run(second, "git", "checkout", "-q", ".")
    done = run(second, "dvc", "exp", "run", "-f", "-S", override, check=False)
    assert done.returncode != 0
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(ran(done.stdout)) <= 1


def test_the_wrong_python_says_so_in_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import sys; sys.path.insert(0, '.'); import stages.train"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "is not the project's Python: run `source .venv/bin/activate`" in done.stderr
    assert len(done.stderr.splitlines()) == 1
