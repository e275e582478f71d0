"""Commits are read with git alone, and what cannot be read is named in a sentence."""

import subprocess

import pytest
from project import git

from pneumo.errors import RecordError, ReviewError
from pneumo.review import snapshot


def test_a_commit_and_its_working_tree_have_the_same_files(project):
    committed = snapshot.commit(project.root, "HEAD")
    assert committed.files == snapshot.working_tree(project.root).files
    assert {"params.yaml", "dvc.lock", "requirements.lock", "metrics/best.json", "scores/val/cnn.csv"} <= set(
        committed.files
    )
    assert committed.label == f"HEAD ({committed.commit[:10]})"


def test_what_is_not_committed_is_in_the_working_tree_alone(project):
    project.write("metrics/a new.json", {})
    assert "metrics/a new.json" in snapshot.working_tree(project.root).files
    assert "metrics/a new.json" not in snapshot.commit(project.root, "HEAD").files
    project.commit()
    assert snapshot.commit(project.root, "HEAD").text("metrics/a new.json") == "{}\n"


def test_a_project_in_a_folder_of_a_larger_repository_is_read_from_there(project, tmp_path):
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    project.root.rename(outer / "inner")
    subprocess.run(["rm", "-rf", outer / "inner/.git"], check=True)
    git(outer, "add", "-A")
    git(outer, "commit", "-qm", "all")
    assert snapshot.commit(outer / "inner", "HEAD").files == snapshot.working_tree(outer / "inner").files


def test_a_detached_head_is_a_commit_like_any_other(project):
    first = git(project.root, "rev-parse", "HEAD")
    git(project.root, "checkout", "-q", "--detach")
    project.commit()
    head = snapshot.commit(project.root, "HEAD")
    assert head.commit != first
    assert snapshot.merge_base(project.root, "main") == first


@pytest.mark.parametrize("revision", ["nowhere", "--all", "", "HEAD:params.yaml"])
def test_an_unknown_revision_is_named(project, revision):
    with pytest.raises(ReviewError, match=r"git knows no commit .*`git fetch`") as raised:
        snapshot.commit(project.root, revision)
    assert repr(revision) in str(raised.value)


def test_a_shallow_clone_says_how_to_get_the_rest(project, tmp_path):
    first = git(project.root, "rev-parse", "HEAD")
    project.commit("second")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{project.root}", "shallow")
    with pytest.raises(ReviewError, match=r"shallow: `git fetch --unshallow`, or `fetch-depth: 0`"):
        snapshot.commit(tmp_path / "shallow", first)
    git(tmp_path / "shallow", "checkout", "-q", "--orphan", "other")
    git(tmp_path / "shallow", "commit", "-qm", "x", "--allow-empty")
    with pytest.raises(ReviewError, match=r"no commit in common: this clone is shallow"):
        snapshot.merge_base(tmp_path / "shallow", "main")


def test_unrelated_histories_have_no_merge_base(project):
    git(project.root, "checkout", "-q", "--orphan", "other")
    project.commit("with nothing before it")
    with pytest.raises(ReviewError, match="main and HEAD have no commit in common: their histories are unrelated"):
        snapshot.merge_base(project.root, "main")


def test_outside_of_a_repository_or_project_the_error_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(ReviewError, match="not a git repository"):
        snapshot.commit(tmp_path, "HEAD")
    with pytest.raises(ReviewError, match="run from the project's top folder"):
        snapshot.working_tree(tmp_path)


def test_a_symbolic_link_is_named_on_both_sides(project):
    path = project.root / "scores/test/cnn.csv"
    path.rename(project.root / "elsewhere.csv")
    path.symlink_to("../../elsewhere.csv")
    with pytest.raises(RecordError, match=r"cnn.csv is a symbolic link"):
        snapshot.working_tree(project.root)
    project.commit()
    with pytest.raises(ReviewError, match=r"main: scores/test/cnn.csv is a symbolic link"):
        snapshot.commit(project.root, "main")


def test_an_unfinished_merge_is_named(project):
    for branch, value in (("one", 0.1), ("two", 0.2)):
        git(project.root, "checkout", "-q", "-b", branch, "main")
        project.params["model"]["cnn"]["lr"] = value
        project.commit(branch)
    with pytest.raises(subprocess.CalledProcessError):
        git(project.root, "merge", "one")
    with pytest.raises(ReviewError, match=r"a merge is not finished \(params.yaml\)"):
        snapshot.working_tree(project.root)


def test_content_that_git_lacks_is_named(project):
    blob = git(project.root, "rev-parse", "HEAD:metrics/cnn.json")
    (project.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(ReviewError, match=r"git lacks the content of HEAD:metrics/cnn.json: run `git fetch`"):
        snapshot.commit(project.root, "HEAD")


def test_without_git_the_error_says_so(project, monkeypatch):
    monkeypatch.setenv("PATH", str(project.root))
    with pytest.raises(ReviewError, match="git is not on the PATH"):
        snapshot.commit(project.root, "HEAD")


def test_a_file_that_is_missing_or_not_text_is_named(project):
    (project.root / "metrics/cnn.json").write_bytes(b"\xff\xfe")
    project.commit()
    committed = snapshot.commit(project.root, "main")
    with pytest.raises(RecordError, match=f"{committed.commit[:10]}:metrics/cnn.json is not UTF-8 text"):
        committed.text("metrics/cnn.json")
    with pytest.raises(RecordError, match=r"[0-9a-f]{10}:metrics/densenet.json is missing: run `dvc repro`"):
        committed.text("metrics/densenet.json")
