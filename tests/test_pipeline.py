"""The whole pipeline in temporary clones, with the committed graph and smaller numbers."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import s3
import yaml
from clones import ROOT, clone_to, experiment, ran, run
from listed import contents

from pneumo import params
from pneumo.errors import PneumoError
from pneumo.sources import phantom
from pneumo.verification import gate


@pytest.fixture(scope="module")
def ran_once(tmp_path_factory):
    """A clone that has run a small experiment with all stages, and what DVC printed."""
    clone = clone_to(tmp_path_factory.mktemp("first") / "pneumo")
    output = experiment(clone, "model=cnn")
    run(clone, "git", "add", "-A")
    run(clone, "git", "commit", "-qm", "cnn")
    return clone, output


OF_CNN = [f"{stage}@cnn" for stage in ("train", "predict", "calibrate")]
CHAIN = ["download", "preprocess", "audit", *OF_CNN, "score", "evaluate@cnn"]
LAST = ["select_best", "export", "guard", "ablation", "explain", "report"]


@pytest.mark.slow
def test_all_stages_run_once(ran_once):
    clone, output = ran_once
    assert sorted(ran(output)) == sorted(CHAIN + LAST)
    assert json.loads((clone / "machine.json").read_text())["runtime"]["threads"] == 2
    again = run(clone, "make", "-o", ".venv/.complete", "repro").stdout
    assert ran(again) == []
    assert "The results are those of HEAD" in again


SHARING = (  # the lines of docs/sharing.md, in its order
    "dvc remote add -d storage s3://bucket/pneumo",
    'git add .dvc/config && git commit -m "A remote for data and models"',
    "dvc push --run-cache",
    "dvc pull --run-cache",
    "dvc repro",
)


@pytest.mark.slow
def test_through_an_s3_bucket_another_clone_gets_everything_and_has_nothing_to_run(ran_once, tmp_path, root):
    page = (root / "docs/sharing.md").read_text()
    places = [page.index(f"    {line}\n") for line in SHARING]
    assert places == sorted(places)
    (first, _), second = ran_once, tmp_path / "second"
    add, commit, push, pull, repro = SHARING
    with s3.serving("bucket") as address:
        run(first, "sh", "-c", add)
        run(first, "dvc", "remote", "modify", "storage", "endpointurl", address)
        run(first, "sh", "-c", commit)
        run(first, "sh", "-c", push)
        run(tmp_path, "git", "clone", "-q", str(first), str(second))
        assert not (second / "data").exists()
        run(second, "sh", "-c", pull)
    assert ran(run(second, "sh", "-c", repro).stdout) == []
    for name in ("models/best/model.safetensors", "data/processed/images.npy", "reports/index.html"):
        assert (second / name).read_bytes() == (first / name).read_bytes()
    run(second, "git", "checkout", "-q", "HEAD~2", "--", "dvc.lock")  # a lock that does not know this run
    again = run(second, "dvc", "repro", "train@cnn").stdout
    assert ran(again) == []
    assert "Stage 'train@cnn' is cached - skipping run" in again


@pytest.fixture
def one_core(monkeypatch):
    """Stages may use one core only, where the system can arrange that, with as many threads as ever."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # threads that do not spin
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)


@pytest.mark.slow
def test_another_clone_on_one_core_computes_the_same_bytes(ran_once, tmp_path, one_core):
    """From drawing to raw outputs; what follows is arithmetic on tables."""
    (first, _), second = ran_once, clone_to(tmp_path / "pneumo")
    experiment(second, "model=cnn", target="predict@cnn")
    locks = [yaml.safe_load((clone / "dvc.lock").read_text())["stages"] for clone in (first, second)]
    for stage in ("download", "preprocess", "train@cnn", "predict@cnn"):
        assert locks[0][stage] == locks[1][stage], stage


@pytest.mark.slow
def test_another_backbone_runs_only_its_own_stages_and_metrics_diff_compares(ran_once):
    clone, _ = ran_once
    before = (clone / "metrics/cnn.json").read_bytes()
    output = experiment(clone, "model=cnn10")
    own = [f"{stage}@cnn10" for stage in ("train", "predict", "calibrate")]
    assert ran(output) == [*own, "score", "evaluate@cnn10", *LAST]
    assert list(yaml.safe_load((clone / "params.yaml").read_text())["model"]) == ["cnn10"]
    assert json.loads((clone / "metrics/best.json").read_text())["model"] == "cnn10"
    difference = json.loads(run(clone, "dvc", "metrics", "diff", "--json").stdout)
    assert difference["metrics/best.json"]["model"] == {"old": "cnn", "new": "cnn10"}
    (roc,) = json.loads(run(clone, "dvc", "plots", "diff", "main", "--json").stdout)["data"]["ROC, test images"]
    assert roc["revisions"] == ["workspace", "main"]
    points = roc["content"] if isinstance(roc["content"], str) else json.dumps(roc["content"])
    assert all(f'"model": "{name}"' in points for name in ("cnn", "cnn10")), "one picture of both"
    run(clone, "dvc", "plots", "show")
    assert "ROC, test images" in (clone / "dvc_plots/index.html").read_text()
    back = experiment(clone, "model=cnn")
    assert set(ran(back)) <= {"score", *LAST}, "the lock keeps what was trained before"
    assert (clone / "metrics/cnn.json").read_bytes() == before


ELSEWHERE = [f"{verb}_external@archive" for verb in ("download", "preprocess", "predict", "evaluate")]


@pytest.mark.slow
def test_another_hospital_is_scored_by_the_chosen_model_alone(ran_once, tmp_path):
    clone, _ = ran_once
    films = tmp_path / "other hospital"
    phantom.draw(films, seed=7, images={part: {"normal": 6, "viral": 6} for part in ("train", "test")}, size=96)
    external = ("model=cnn", "external=archive", f"external.archive.path='{films}'")
    assert ran(experiment(clone, *external)) == [*ELSEWHERE, "report"]
    measured = json.loads((clone / "metrics/external/archive.json").read_text())
    assert (measured["model"], measured["n"]) == ("cnn", 24)
    assert measured["drop"]["roc_auc"]["external"] == measured["roc_auc"]
    assert measured["shortcut"]["ci95"]["roc_auc"][0] < measured["shortcut"]["roc_auc"]
    assert '<h2 id="elsewhere">At other hospitals</h2>' in (clone / "reports/index.html").read_text()
    run(clone, "pneumo", "verify", ".")
    for path in ("scores/external/shortcut/archive.csv", "scores/external/archive.csv"):
        good = (clone / path).read_text()
        (clone / path).write_text(good.replace(",1,", ",0,", 1))
        done = run(clone, "pneumo", "verify", ".", check=False)
        (clone / path).write_text(good)
        assert done.returncode == 1
        assert path in done.stderr

    seen, film = next(each for each in contents(clone / "data/raw").items() if each[0].startswith("train/NORMAL/"))
    (films / "test/NORMAL/IM-9000-0001.jpeg").write_bytes(film)
    with pytest.raises(AssertionError, match=rf"NORMAL/IM-9000-0001\.jpeg = {seen}"):
        experiment(clone, *external)
    run(clone, "git", "checkout", "-q", ".")
    run(clone, "git", "clean", "-fdq", "metrics", "scores")


@pytest.mark.slow
def test_a_threshold_policy_trains_nothing_and_an_ensemble_leaves_its_members_alone(ran_once):
    second, _ = ran_once
    policy = ("threshold.policy=sensitivity", "threshold.value=0.9")
    output = experiment(second, "model=cnn", *policy, target="evaluate@cnn")
    assert ran(output) == ["audit", "calibrate@cnn", "evaluate@cnn"]  # the audit's baseline has a threshold, too
    assert run(second, "pneumo", "verify", ".", check=False).returncode == 1, "of other backbones the files are old"
    members = json.loads((second / "metrics/cnn.json").read_text())
    output = experiment(second, "model=[cnn,cnn10]", "+ensembles.ensemble.top=all", *policy)
    assert not [stage for stage in ran(output) if stage.startswith(("train", "predict"))]
    assert json.loads((second / "metrics/cnn.json").read_text()) == members
    assert json.loads((second / "metrics/ensemble.json").read_text())["members"] == ["cnn", "cnn10"]
    best = json.loads((second / "metrics/best.json").read_text())
    assert best == {"model": best["model"], **json.loads((second / f"metrics/{best['model']}.json").read_text())}


@pytest.mark.slow
def test_one_more_seed_trains_only_that_one(ran_once):
    """And nothing of the first seed is computed again but what is about both."""
    clone, _ = ran_once
    run(clone, "git", "checkout", "-q", ".")
    run(clone, "dvc", "checkout")
    alone = json.loads((clone / "metrics/cnn.json").read_text())
    output = experiment(clone, "model=cnn", "train.seeds=[0,3]")
    stages = [f"{stage}@cnn-3" for stage in ("train", "predict", "calibrate")]
    assert sorted(ran(output)) == sorted([*stages, "score", "evaluate@cnn", *LAST])
    both = json.loads((clone / "metrics/cnn.json").read_text())
    assert both["seeds"] == [0, 3]
    assert all(alone[key] == value for key, value in both["replicates"]["cnn"].items() if key != "seed")
    best = json.loads((clone / "metrics/best.json").read_text())
    assert best["replicate"] in ("cnn", "cnn-3")
    choice = json.loads((clone / "models/best/choice.json").read_text())
    of_both = choice["candidates"][0]["replicates"]
    assert best["replicate"] == min(of_both, key=of_both.get), "of two the lower one, never the best"
    run(clone, "pneumo", "verify", ".")
    page = (clone / "reports/index.html").read_text()
    assert "over 2 seeds" in page
    assert "cnn-3" in page
    over = experiment(clone, "model=cnn", "train.seeds=[0,3]", "select.replicate=ensemble")
    assert not [stage for stage in ran(over) if "@" in stage]
    best = json.loads((clone / "metrics/best.json").read_text())
    assert best["replicate"] == "cnn-seeds"
    assert best["selected"]["members"] == ["cnn", "cnn-3"]
    run(clone, "pneumo", "verify", ".")
    back = experiment(clone, "model=cnn")
    assert not [stage for stage in ran(back) if stage.startswith(("train", "predict"))]


@pytest.mark.slow
def test_make_restore_goes_back_to_the_committed_results_and_deletes_nothing(ran_once):
    clone, _ = ran_once
    run(clone, "git", "checkout", "-q", ".")
    run(clone, "dvc", "checkout")
    experiment(clone, "model=cnn", "threshold.policy=fixed", "threshold.value=0.25", target="evaluate@cnn")
    (clone / "models/of_mine").mkdir()
    changed = (clone / "metrics/cnn.json").read_text()
    run(clone, "make", "-o", ".venv/.complete", "restore")
    assert run(clone, "git", "status", "--porcelain").stdout == ""
    assert "up to date" in run(clone, "dvc", "status").stdout
    assert run(clone, "git", "show", "stash@{0}:metrics/cnn.json").stdout == changed
    (kept,) = (clone / ".trash").iterdir()
    assert (kept / "models/of_mine").is_dir()


@pytest.mark.slow
def test_make_restore_brings_back_what_there_is_where_another_processor_made_the_committed_models(ran_once, tmp_path):
    clone = tmp_path / "pneumo"
    shutil.copytree(ran_once[0], clone, symlinks=True)
    run(clone, "git", "checkout", "-q", ".")
    run(clone, "dvc", "checkout")
    own = (clone / "dvc.lock").read_text()
    lock = yaml.safe_load(own)
    for stage in lock["stages"].values():
        for file in (*stage.get("deps", ()), *stage.get("outs", ())):
            if file["path"].startswith(("models", "outputs")):
                file["md5"] = f"{0:032}" + ".dir" * file["md5"].endswith(".dir")
    (clone / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
    run(clone, "git", "commit", "-qam", "by another processor")
    (clone / "dvc.lock").write_text(own)
    said = run(clone, "pneumo", "status").stdout
    assert "in 1 file (dvc.lock); every score and figure is the same." in said
    done = run(clone, "make", "-o", ".venv/.complete", "restore")
    assert "outputs of dvc.lock are not here: models/" in done.stdout
    assert run(clone, "git", "status", "--porcelain").stdout == ""
    assert (clone / "data/processed").is_dir()
    assert not (clone / "models/best").exists()
    run(clone, "git", "stash", "pop")
    run(clone, "dvc", "checkout")
    assert (clone / "models/best/model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("model=vgg61", "Could not find 'model/vgg61'"),
        ("+train.epoch=3", "train.epoch is not a parameter; expected one of accelerator, batch_size"),
    ],
)
def test_a_bad_choice_stops_before_any_work(ran_once, override, says):
    clone, _ = ran_once
    run(clone, "git", "checkout", "-q", ".")
    done = run(clone, "dvc", "exp", "run", "-f", "-S", override, check=False)
    assert done.returncode != 0
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(ran(done.stdout)) <= 1


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("data=elsewhere", "Could not find 'data/elsewhere'"),
        ("train.epochs=-1", "train.epochs is -1; expected greater than or equal to 0"),
        ("train.epochs=0", "model.cnn.epochs is 0, which leaves the linear probe alone, and there is none"),
        ("train.epoch=3", "Could not override 'train.epoch'"),
        ("data=archive", "data.path is null: name a file or folder with -S data.path=VALUE"),
    ],
)
def test_a_bad_value_is_refused_by_composition_or_by_its_check(root, override, says):
    with pytest.raises(PneumoError, match=re.escape(says)):
        params.check(gate.compose(root, override), "params.yaml")


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
