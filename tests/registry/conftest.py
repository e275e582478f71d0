import os
import time
from types import SimpleNamespace

import pytest
from bundles import draw, write_backbone, write_processed
from clones import run

from pneumo import cli
from pneumo.export.export import export

NAME = "pneumonia-classifier"
GRAPH = """
stages:
  export:
    cmd: mkdir -p models && cp -r "$(cat chosen.txt)" models/best
    deps:
      - chosen.txt
    outs:
      - models/best
artifacts:
  pneumonia-classifier:
    path: models/best
    type: model
"""


@pytest.fixture(scope="package")
def models(tmp_path_factory):
    """Two exported models that differ in their weights."""
    folder = tmp_path_factory.mktemp("models")
    processed = write_processed(folder / "processed", 40)
    for seed in (1, 2):
        selected = write_backbone(folder / f"selected-{seed}", f"model-{seed}", seed=seed)
        export(selected, processed, folder / str(seed), film_views=None)
    return folder


@pytest.fixture(scope="package")
def registry(tmp_path_factory, models):
    """A project with two versions, of which prod was the first, then the second, and is the first again.

    project: its folder, with `origin`, a bare repository; storage: the DVC remote; film: an image.
    """
    folder = tmp_path_factory.mktemp("registry")
    at = SimpleNamespace(
        project=folder / "project", bare=folder / "bare.git", storage=folder / "storage", film=draw(folder, 1)[0]
    )
    run(folder, "git", "init", "-q", "--bare", str(at.bare))
    run(folder, "git", "init", "-q", "-b", "main", str(at.project))
    run(at.project, "git", "remote", "add", "origin", str(at.bare))
    (at.project / ".dvc").mkdir()
    (at.project / ".dvc/config").write_text(
        f"['remote \"storage\"']\n    url = {at.storage}\n[core]\n    remote = storage\n"
    )
    (at.project / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (at.project / "dvc.yaml").write_text(GRAPH)
    for version in (1, 2):
        (at.project / "chosen.txt").write_text(str(models / str(version)))
        for command in (
            "dvc repro -q",
            "git add -A",
            f"git commit -qm {version}",
            f"gto register {NAME} --version v0.{version}.0",
            f"gto assign {NAME} --version v0.{version}.0 --stage prod",
        ):
            run(at.project, *command.split())
        time.sleep(1.1)  # git's tags know seconds
    run(at.project, *f"gto assign {NAME} --version v0.1.0 --stage prod --force".split())
    run(at.project, *f"gto assign {NAME} --version v0.2.0 --stage dev".split())
    run(at.project, *["dvc", "push", "--all-tags", "models/best"])
    run(at.project, *["git", "push", "-q", "--tags", "origin", "main"])
    return at


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, in an empty current folder."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "DVC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PNEUMO_MODELS", str(tmp_path / "cache"))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "dvc"))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return tmp_path / "cache"


@pytest.fixture
def predicted(registry, capsys):
    """Called with what follows --model: exit status, the model's name in the table, and what is said of it."""

    def predict(model):
        status = cli.main(["predict", str(registry.film), "--model", str(model)])
        out, err = capsys.readouterr()
        return SimpleNamespace(status=status, model=out.partition(",")[0], said=err.rstrip("\n"))

    return predict
