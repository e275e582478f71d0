from stages import runlog


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
