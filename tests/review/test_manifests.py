"""Manifests of commits from data/, from DVC's cache and from a remote, in a real project of DVC."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from project import Project, git
from test_data_diff import BASE, csv, table

from pneumo.review import result, snapshot

pytestmark = pytest.mark.slow
HEAD = BASE | {"e.png": ("train", "normal", "5", "e")}


def dvc(root: Path, *words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "dvc", *words], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def commit(project: Project, manifest: bytes, branch: str) -> None:
    """Run a stage that writes `manifest`, and commit on a new branch."""
    git(project.root, "checkout", "-qB", branch)
    (project.root / "source.csv").write_bytes(manifest)
    dvc(project.root, "repro", "-q")
    project.data["manifest_sha256"] = hashlib.sha256(manifest).hexdigest()
    project.commit()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Branches main and head, which has an image more, and bad, with two of one name; head and bad are pushed."""
    project = Project(tmp_path_factory.mktemp("made") / "p", {"cnn": 1.2})
    dvc(project.root, "init", "-q")
    dvc(project.root, "remote", "add", "-q", "-d", "storage", str(project.root.parent / "storage"))
    code = "from pathlib import Path\nPath('data/processed').mkdir()\n"
    code += "Path('data/processed/manifest.csv').write_bytes(Path('source.csv').read_bytes())\n"
    (project.root / "prepare.py").write_text(code)
    stage = {"cmd": f"{sys.executable} prepare.py", "deps": ["source.csv"], "outs": ["data/processed"]}
    (project.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"preprocess": stage}}))
    (project.root / "data").mkdir()
    for branch, content in (
        ("main", csv(table(BASE))),
        ("bad", csv(table(BASE)).replace(b"a.png", b"b.png")),
        ("head", csv(table(HEAD))),
    ):
        commit(project, content, branch)
        dvc(project.root, "push", "-q")
    return project.root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy of the project, with head checked out."""
    return Path(shutil.copytree(made, tmp_path / "p", symlinks=True))


def images(root: Path, head: str | None = "head") -> object:
    base = snapshot.commit(root, "main")
    outcome = result.review(base, snapshot.commit(root, head) if head else snapshot.working_tree(root))
    return result.with_images(outcome, root).images


@pytest.mark.parametrize("gone", [[], ["data/processed"], ["data/processed", ".dvc/cache"]])
def test_manifests_come_from_data_or_the_cache_or_the_remote(root, gone):
    for folder in gone:
        shutil.rmtree(root / folder)
    for head in ("head", None):
        differ = images(root, head)
        assert [image.image for image in differ.added] == ["e.png"], differ
        assert differ.removed == differ.changed == differ.relabelled == differ.moved == []
    if ".dvc/cache" in gone:
        assert not list((root / ".dvc").glob("cache/files/md5/*/*")), "a review leaves nothing behind"


def test_a_remote_that_the_pull_request_names_is_not_asked(made, root):
    shutil.rmtree(root / ".dvc/cache")
    shutil.rmtree(root / "data/processed")
    shutil.copytree(made.parent / "storage", root.parent / "of the pull request")  # which has what is looked for
    dvc(root, "remote", "modify", "-q", "storage", "url", str(root.parent / "of the pull request"))
    git(root, "commit", "-qam", "another remote")
    why = images(root, None)
    assert "the remote: not asked, because .dvc/ here is not as in base" in why
    git(root, "checkout", "-q", "main", "--", ".dvc")
    assert [image.image for image in images(root, None).added] == ["e.png"]
    dvc(root, "config", "--local", "core.autostage", "false")
    assert [image.image for image in images(root, None).added] == ["e.png"], "one's own, which git ignores"
    git(root, "add", "-f", ".dvc/config.local")
    assert "not asked" in images(root, None)


def test_without_cache_and_remote_the_reason_has_the_remedy(root):
    shutil.rmtree(root / ".dvc/cache")
    dvc(root, "remote", "modify", "--local", "storage", "url", str(root.parent / "empty"))
    why = images(root)
    assert "(DVC's cache lacks it; the remote lacks it)" in why
    assert "run `dvc push` where the pipeline of that commit ran" in why
    dvc(root, "remote", "modify", "--local", "storage", "url", "ssh://nowhere.example/x")
    assert "the remote: ssh is supported, but requires 'dvc-ssh' to be installed" in images(root)
    (root / ".dvc/config.local").unlink()
    dvc(root, "fetch", "-q", "--all-commits", "preprocess")  # as the remedy says
    shutil.rmtree(root / "data/processed")
    assert [image.image for image in images(root).added] == ["e.png"]


def test_a_manifest_that_is_not_that_of_the_figures_does_not_count(root):
    content = json.loads((root / "metrics/data.json").read_text())
    (root / "metrics/data.json").write_text(json.dumps(content | {"manifest_sha256": "e" * 64}))
    assert "DVC's cache has one whose SHA-256 is not that of metrics/data.json" in images(root, None)
    (root / "metrics/data.json").write_text(json.dumps(content | {"manifest_sha256": ["../../secret"]}))
    assert "metrics/data.json has no manifest_sha256" in images(root, None)


@pytest.mark.parametrize("name", ["../../../secret.dir", "1", None])
def test_a_hash_in_the_lock_that_is_none_is_not_looked_up(root, name):
    lock = yaml.safe_load((root / "dvc.lock").read_text())
    lock["stages"]["preprocess"]["outs"][0]["md5"] = name
    (root / "dvc.lock").write_text(yaml.safe_dump(lock))
    (root / "data/processed/manifest.csv").unlink()
    assert "dvc.lock has no hash of data/processed" in images(root, None)


def test_a_malformed_manifest_is_said(root):
    assert "the manifest of bad (" in images(root, "bad")
    assert "images must be unique and sorted" in images(root, "bad")
