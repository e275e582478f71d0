"""The same files in a folder and in a commit, and errors that say where a file is and how to get it back."""

from pathlib import Path

import pytest

from pneumo.errors import RecordError
from pneumo.record.tree import Folder
from pneumo.review import snapshot


def test_a_folder_and_a_commit_have_the_same_files(project):
    folder, commit = Folder(project.root), snapshot.commit(project.root, "main")
    assert folder.paths() == commit.paths()
    assert {"params.yaml", "dvc.lock", "requirements.lock", "metrics/best.json"} < set(folder.paths())
    for path in folder.paths():
        assert folder.text(path) == commit.text(path)
    assert not any(tree.has("metrics/densenet.json") for tree in (folder, commit))


def test_text_has_unix_line_ends(read_tree, project):
    (project.root / "params.yaml").write_bytes(b"a: 1\r\nb: 2\r\n")
    assert read_tree().text("params.yaml") == "a: 1\nb: 2\n"


def test_bytes_that_are_not_text_are_named(read_tree, project):
    (project.root / "metrics/cnn.json").write_bytes(b"\xff\xfe")
    with pytest.raises(RecordError, match=r"metrics/cnn.json is not UTF-8 text \(.*\): r"):
        read_tree().text("metrics/cnn.json")


def test_a_missing_file_is_named_with_its_commit_and_the_remedy(project):
    commit = snapshot.commit(project.root, "main")
    with pytest.raises(RecordError, match=rf"^{commit.commit[:10]}:metrics/x.json is missing: run `dvc repro` and"):
        commit.text("metrics/x.json")
    folder = Folder(project.root)
    with pytest.raises(RecordError, match=rf"^{project.root}/metrics/x.json is missing: restore it with `git checkout"):
        folder.text("metrics/x.json")
    assert folder.remedy("params.yaml").startswith("run from the project's top folder, or restore it")
    assert "`git checkout -- 'my run/metrics/x.json'`" in Folder(Path("my run")).remedy("metrics/x.json")


@pytest.mark.parametrize("path", ["params.yaml", "dvc.lock", "scores/test/cnn.csv", "scores/test", "metrics"])
def test_a_link_in_place_of_what_git_keeps_is_named(project, tmp_path, path):
    (project.root / path).rename(tmp_path / "elsewhere")
    (project.root / path).symlink_to(tmp_path / "elsewhere")
    file = {"scores/test": "scores/test/cnn.csv", "metrics": "metrics/cnn.json"}.get(path, path)
    with pytest.raises(RecordError, match=rf"{project.root}/{path} is a symbolic link: put the file itself there"):
        Folder(project.root).text(file)


def test_a_link_to_the_cache_in_place_of_what_dvc_keeps_is_read(project, tmp_path):
    (tmp_path / "elsewhere.csv").write_text("a\n")
    (project.root / "data").mkdir()
    (project.root / "data/manifest.csv").symlink_to(tmp_path / "elsewhere.csv")
    assert Folder(project.root).text("data/manifest.csv") == "a\n"
