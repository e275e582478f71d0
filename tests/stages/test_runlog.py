import pytest

import stages
from stages import runlog


@pytest.mark.parametrize(
    ("ranks", "first"),
    [
        ({}, True),
        ({"SLURM_PROCID": "0"}, True),
        ({"SLURM_PROCID": "1"}, False),
        ({"SLURM_PROCID": "0", "LOCAL_RANK": "1"}, False),  # Lightning started it
        ({"RANK": "2", "LOCAL_RANK": "0"}, False),  # torchrun, on the second node
    ],
)
def test_of_several_processes_the_first_one_notes_the_run(tmp_path, monkeypatch, ranks, first):
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["stages/train.py"])
    monkeypatch.chdir(tmp_path)
    stages.run(lambda: None)
    assert (tmp_path / "reports/run.js").exists() == first


def test_every_stage_keeps_its_last_run(tmp_path):
    path = tmp_path / "reports/run.js"
    runlog.add(path, "train cnn", 12.4)
    runlog.add(path, "report", 1.0)
    runlog.add(path, "train cnn", 30.0)
    noted = runlog.read_log(path)
    assert list(noted) == ["train cnn", "report"]
    assert ", 30 s, commit " in noted["train cnn"]
    assert path.read_text().startswith("window.pneumoRun = {")


def test_a_broken_file_is_begun_anew(tmp_path):
    (tmp_path / "run.js").write_text("window.pneumoRun = {")
    runlog.add(tmp_path / "run.js", "report", 1.0)
    assert list(runlog.read_log(tmp_path / "run.js")) == ["report"]


def test_outside_git_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    runlog.add(tmp_path / "run.js", "report", 1.0)
    assert "commit unknown" in runlog.read_log(tmp_path / "run.js")["report"]
