"""A model of the registry, from its tag in git to a prediction, with real repositories and a real DVC remote."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from shutil import copytree, rmtree
from threading import Thread

import pytest
from clones import run

from pneumo import registry as names
from pneumo.registry import cache as kept
from pneumo.registry import git

pytestmark = pytest.mark.slow

NAME = "pneumonia-classifier"
FIRST, SECOND = "model-1", "model-2"


@pytest.mark.parametrize(
    ("which", "model", "said"),
    [
        ("prod", FIRST, f"model: {NAME} v0.1.0 (prod since "),
        ("dev", SECOND, f"model: {NAME} v0.2.0 (dev since "),
        ("v0.2.0", SECOND, f"model: {NAME} v0.2.0 (dev since "),
        (f"{NAME}@prod", FIRST, f"model: {NAME} v0.1.0 (prod since "),
        (f"{NAME}@v0.1.0", FIRST, f"model: {NAME} v0.1.0 (prod since "),
        (NAME, SECOND, f"model: {NAME} v0.2.0 (dev since "),
    ],
)
def test_from_an_empty_folder_a_stage_or_version_of_a_bare_repository_predicts(
    registry, cache, predicted, which, model, said
):
    done = predicted(f"{registry.bare}#{which}")
    assert (done.status, done.model) == (0, model)
    assert done.said.startswith(said)
    assert done.said.endswith(f" of {registry.bare}")


@pytest.mark.parametrize(
    ("text", "model"),
    [(f"{NAME}@prod", FIRST), (f"{NAME}@dev", SECOND), (f"{NAME}@v0.1.0", FIRST), (NAME, SECOND)],
)
def test_in_the_project_the_name_is_enough(registry, cache, predicted, monkeypatch, text, model):
    monkeypatch.chdir(registry.project / "models")
    done = predicted(text)
    assert (done.status, done.model) == (0, model)
    assert done.said.endswith(" of this repository")


def test_a_commit_is_exact_too(registry, cache, predicted):
    commit = run(registry.project, "git", "rev-parse", "HEAD~1").stdout.strip()
    assert predicted(f"{registry.bare}#{commit[:10]}").model == FIRST
    assert commit[:10] in predicted(f"{registry.bare}#{NAME}@{commit}").said


def test_a_folder_that_exists_is_taken_whatever_it_is_called(registry, models, cache, predicted):
    copytree(models / "1", Path(f"{NAME}@prod"))
    done = predicted(f"{NAME}@prod")
    assert (done.status, done.model, done.said) == (0, FIRST, "")


def test_without_the_remote_a_fetched_model_predicts_and_another_does_not(registry, cache, predicted, tmp_path):
    assert predicted(f"{registry.bare}#prod").status == 0
    registry.storage.rename(tmp_path / "away")
    try:
        again, other = predicted(f"{registry.bare}#prod"), predicted(f"{registry.bare}#dev")
    finally:
        (tmp_path / "away").rename(registry.storage)
    assert (again.status, again.model) == (0, FIRST)
    assert other.status == 1
    assert other.said.endswith(
        f"remote storage ({registry.storage}) does not have its files, or cannot be reached. Whoever has them can "
        "push them: `dvc push --all-tags models/best`"
    )


def test_without_the_repository_a_version_that_is_here_predicts_and_a_stage_does_not(
    registry, cache, predicted, tmp_path
):
    copytree(registry.bare, tmp_path / "bare.git")
    url = f"{tmp_path}/bare.git"
    assert predicted(f"{url}#prod").status == 0
    rmtree(url)
    exact = predicted(f"{url}#v0.1.0")
    assert (exact.status, exact.model) == (0, FIRST)
    assert exact.said.endswith(f" of {url}, from {cache}")
    stage, other = predicted(f"{url}#prod"), predicted(f"{url}#v0.2.0")
    assert (stage.status, other.status) == (1, 1)
    here = f"; these versions are here: {NAME}@v0.1.0"
    assert stage.said.endswith(f"Without it, a stage may have moved since{here}")
    assert other.said.endswith(f"Without it, that version is not on this machine{here}")


def test_what_was_withdrawn_is_not_used(registry, cache, predicted, tmp_path, monkeypatch):
    copytree(registry.project, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(tmp_path / "project")

    def deprecate(*what):
        time.sleep(1.1)  # git's tags know seconds
        run(tmp_path / "project", "gto", "deprecate", NAME, *what)

    deprecate("v0.1.0", "prod")
    assert f"{NAME} has no stage or version v9.0.0" in predicted(f"{NAME}@v9.0.0").said
    assert predicted(f"{NAME}@prod").model == SECOND, "as `gto show` has it: the one that was assigned before"
    deprecate("v0.2.0")
    done = predicted(f"{NAME}@v0.2.0")
    assert (done.status, done.said) == (
        1,
        f"error: version v0.2.0 of {NAME} has been withdrawn in this repository. It has version v0.1.0 and no stage",
    )
    assert predicted(NAME).model == FIRST
    deprecate()
    assert "this repository has no registered model" in predicted(NAME).said


def test_a_damaged_copy_of_the_tags_is_named_and_no_repository_around_it_is_touched(registry, cache, predicted):
    assert predicted(f"{registry.bare}#prod").status == 0
    (copy,) = (path for path in (cache / "repositories").iterdir() if path.is_dir())
    rmtree(copy / ".git")
    run(cache, "git", "init", "-q")
    run(cache, "git", "commit", "-q", "--allow-empty", "-m", "of the user")
    run(cache, "git", "tag", "own")
    done = predicted(f"{registry.bare}#prod")
    assert (done.status, run(cache, "git", "tag").stdout) == (1, "own\n")
    assert done.said.startswith(f"error: {copy}, where tags are kept, cannot be used (fatal: not a git repository")


def test_an_entry_that_is_no_hash_is_fetched_anew(registry, cache, predicted):
    assert predicted(f"{registry.bare}#prod").status == 0
    (entry,) = cache.glob("commits/*/*")
    for text in ("", "../../etc", "\0"):
        entry.write_text(text)
        assert predicted(f"{registry.bare}#prod").model == FIRST


@pytest.mark.parametrize("file", ["model.json", "model.onnx", "reference.json", "another.txt"])
def test_a_model_that_was_changed_in_the_cache_is_refused_until_it_is_deleted(registry, cache, predicted, file):
    folder = names.resolve(f"{registry.bare}#prod").folder
    with (folder / file).open("a") as opened:
        opened.write(" ")
    done = predicted(f"{registry.bare}#prod")
    assert done.status == 1
    assert done.said.startswith(f"error: {folder} has changed since it was fetched")
    rmtree(folder)
    assert predicted(f"{registry.bare}#prod").status == 0


def test_what_is_damaged_in_the_remote_is_refused_and_not_kept(registry, cache, predicted, tmp_path):
    copytree(registry.storage, tmp_path / "intact")
    for file in registry.storage.rglob("*"):
        if file.is_file() and not file.name.endswith(".dir"):
            file.chmod(0o644)
            file.write_bytes(file.read_bytes() + b" ")
    try:
        done = predicted(f"{registry.bare}#prod")
    finally:
        rmtree(registry.storage)
        copytree(tmp_path / "intact", registry.storage)
    assert done.status == 1
    assert "copy of pneumonia-classifier is damaged" in done.said
    assert kept.entries() == []
    assert predicted(f"{registry.bare}#prod").status == 0


def test_several_processes_at_once_fetch_it_and_none_fails(registry, cache):
    words = [sys.executable, "-m", "pneumo.cli", "predict", str(registry.film), "--model", f"{registry.bare}#prod"]
    environment = {**os.environ, "PYTHONPATH": str(Path(names.__file__).parents[2])}
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: subprocess.run(words, capture_output=True, env=environment), range(3)))
    assert [one.returncode for one in done] == [0] * 3, done
    assert len({one.stdout for one in done}) == 1
    assert not [path for path in cache.rglob(".*") if path.name != ".git" and ".git" not in path.parts]


def test_tags_that_move_while_several_fetch_them_are_fetched(registry, cache, tmp_path):
    copytree(registry.bare, tmp_path / "moving.git")
    for version in range(4):
        for number in range(8):
            run(tmp_path / "moving.git", *f"git tag -am moved other-{number}@v1.0.{version} {NAME}@v0.1.0".split())
        with ThreadPoolExecutor(6) as pool:
            assert len(set(pool.map(git.update, [f"{tmp_path}/moving.git"] * 6))) == 1


def test_nobody_is_asked_for_a_password_and_none_is_printed_or_kept(cache, predicted):
    class Private(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="private"')
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Private)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_port}/pneumo.git"
    done = [predicted(f"http://{user}{address}#prod") for user in ("", "me:secret@")]
    server.shutdown()
    for one in done:
        assert one.status == 1
        assert one.said.startswith(f"error: http://{address} cannot be read (")
        assert "without asking for a password" in one.said
        assert "secret" not in one.said
    assert not [path for path in cache.rglob("*") if path.is_file() and b"secret" in path.read_bytes()]
