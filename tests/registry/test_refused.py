"""What cannot be found or fetched, each with one line that says why and what to do."""

import pytest
from clones import run

pytestmark = pytest.mark.slow

GRAPH = """
stages:
  folder: {cmd: mkdir text && cp dvc.yaml text/model.txt, outs: [text]}
  file: {cmd: cp dvc.yaml weights.bin, outs: [weights.bin]}
  later: {cmd: mkdir later, outs: [later]}
artifacts:
  another-format: {path: text}
  a-file: {path: weights.bin}
  not-in-the-lock: {path: later}
  not-written: {path: nowhere}
"""


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A bare repository of tags that lead nowhere, with a remote that has what was pushed to it."""
    folder = tmp_path_factory.mktemp("odd")
    project, bare = folder / "project", folder / "bare.git"
    run(folder, "git", "init", "-q", "--bare", str(bare))
    run(folder, "git", "init", "-q", "-b", "main", str(project))

    def commit(*artifacts):
        run(project, "git", "add", "-A")
        run(project, "git", "commit", "-qm", "next")
        for name in artifacts:
            run(project, "git", "tag", "-am", "as GTO does", f"{name}@v1.0.0")

    (project / "README").write_text("not yet a project")
    commit("no-project")
    (project / ".dvc").mkdir()
    (project / ".dvc/config").write_text("")
    (project / ".dvc/.gitignore").write_text("/tmp\n/cache\n")
    (project / "dvc.yaml").write_text(GRAPH)
    run(project, "dvc", "repro", "-q", "folder", "file")
    commit()
    run(project, "git", "tag", "-am", "as GTO does", "another-format@v0.5.0")
    (project / ".dvc/config").write_text(
        f"['remote \"there\"']\n    url = {folder}/there\n[core]\n    remote = there\n"
    )
    run(project, "dvc", "push", "-q", "folder", "file")
    commit("another-format", "a-file", "not-in-the-lock", "not-written", "not-in-dvc-yaml")
    (project / "dvc.yaml").write_text(GRAPH + "  broken: {path: text\n")
    commit("broken")
    run(project, "git", "tag", "-am", "as GTO does", "another-format#prod#1", "another-format@v1.0.0^{}")
    run(project, "git", "push", "-q", "--tags", str(bare), "main")
    return bare


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("no-project", "that commit has no DVC project"),
        ("not-in-dvc-yaml", "has no such artifact. Add it under `artifacts`, commit, and register that commit"),
        ("not-written", "names nowhere, which is not the output of a stage or .dvc file. Correct the path"),
        ("not-in-the-lock", "dvc.lock of that commit lacks later: it was registered before `dvc repro` ran"),
        ("a-file", "weights.bin is a file. `pneumo predict` uses the folder of an exported model"),
        ("another-format", "`pneumo predict` cannot use it: text/model.json is missing"),
        (
            "another-format@v0.5.0",
            ".dvc/config of that commit names no remote to fetch from. In the project, run `dvc remote add",
        ),
        ("broken", "cannot be fetched by DVC: YAMLSyntaxError: unable to read: 'dvc.yaml'"),
        ("another", "has no registered model another; it has a-file, another-format, broken, "),
        ("another-format@dev", "has no stage or version dev in"),
        ("another-format@v2.0.0", "It has versions v1.0.0, v0.5.0 and stage prod"),
        ("another-format@0123456789", "has no stage or version 0123456789 in"),
    ],
)
def test_the_error_says_what_is_there_and_what_to_do(odd, cache, predicted, name, error):
    done = predicted(f"{odd}#{name}" if "@" in name or name == "another-format" else f"{odd}#{name}@v1.0.0")
    assert done.status == 1
    assert done.said.startswith("error: ")
    assert error in done.said
    assert "\n" not in done.said
    assert not list(cache.glob("commits/*/*"))


def test_of_several_models_one_must_be_named(odd, cache, predicted):
    assert predicted(f"{odd}#prod").said.endswith(
        f"broken, no-project, not-in-dvc-yaml, not-in-the-lock, not-written. Name one: '{odd}#NAME@prod'"
    )


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("classifier@prod", "there is no folder classifier@prod here, and {here} is not in a git repository"),
        ("classifier", "there is no folder classifier here, and {here} is not in a git repository"),
        ("models/best", "models/best/model.json is missing: name the folder of an exported model"),
        (
            "nowhere.git#prod",
            "nowhere.git cannot be read (fatal: 'nowhere.git' does not appear to be a git repository)",
        ),
        ("ext::sh -c true#prod", "ext::sh -c true cannot be read (fatal: transport 'ext' not allowed)"),
        ("x" * 5000, "is not in a git repository"),
    ],
)
def test_outside_a_project(cache, predicted, tmp_path, model, error):
    done = predicted(model)
    assert done.status == 1
    assert error.format(here=tmp_path / "empty") in done.said


def test_a_repository_without_tags_says_how_to_register(cache, predicted, tmp_path, monkeypatch):
    run(tmp_path, "git", "init", "-q", "new")
    for model in (f"{tmp_path}/new#prod", "classifier@prod"):
        monkeypatch.chdir(tmp_path / "new")
        assert "has no registered model. Register one: `gto register NAME`" in predicted(model).said


def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(registry, cache, predicted, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PNEUMO_MODELS", str(tmp_path / "file/models"))
    assert predicted(f"{registry.bare}#prod").said == (
        f"error: {tmp_path}/file/models/repositories cannot be written (Not a directory). Name another folder for "
        "models: PNEUMO_MODELS=FOLDER"
    )
