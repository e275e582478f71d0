"""The commands of docs/registry.md, in their order, as they stand."""

import shlex
import shutil
import time
from pathlib import Path

import pytest
from clones import run
from page_commands import blocks

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs/registry.md"
NAME = "pneumonia-classifier"
GRAPH = """
stages:
  export:
    cmd: mkdir -p models && cp -r "$(cat chosen.txt)" models/best && cp chosen.txt metrics/best.json
    deps:
      - chosen.txt
    outs:
      - models/best
    metrics:
      - metrics/best.json:
          cache: false
artifacts:
  pneumonia-classifier:
    path: models/best
"""


@pytest.fixture
def project(registry, models, cache, tmp_path):
    """A project with results that are committed and not pushed."""
    run(tmp_path, "git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "bare.git"))
    run(tmp_path, "git", "init", "-q", "-b", "main", "project")
    folder = tmp_path / "project"
    shutil.copytree(registry.project / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache"))
    config = (folder / ".dvc/config").read_text()
    (folder / ".dvc/config").write_text(config.replace(str(registry.storage), str(tmp_path / "storage")))
    (folder / "dvc.yaml").write_text(GRAPH)
    (folder / "metrics").mkdir()
    (folder / ".gitignore").write_text("film.dcm\nbest\n")
    (folder / "film.dcm").write_bytes(registry.film.read_bytes())
    run(folder, "git", "remote", "add", "origin", str(tmp_path / "bare.git"))
    committed(folder, models, 1)
    return folder


def committed(folder, models, version):
    for number in (1, 2):  # a link of one digit, which is a metric, too
        (folder / str(number)).unlink(missing_ok=True)
        (folder / str(number)).symlink_to(models / str(number))
    (folder / "chosen.txt").write_text(str(version))
    run(folder, "dvc", "repro", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", str(version))


def test_the_commands_of_the_page_run_in_their_order(project, models):
    said = {}
    for command in blocks(PAGE):
        if "--force" in command:
            committed(project, models, 2)
            run(project, *f"gto register {NAME} --version v0.2.0".split())
            run(project, *f"gto assign {NAME} --version v0.1.0 --stage prod".split())
            time.sleep(1.1)  # git's tags know seconds
            run(project, *f"gto assign {NAME} --version v0.2.0 --stage prod".split())
            time.sleep(1.1)
        words = shlex.split(command.replace("https://example.org/you/pneumo.git", str(project.parent / "bare.git")))
        done = run(project, *words)
        said[command] = done.stdout + done.stderr
    predictions = [text for command, text in said.items() if command.startswith("pneumo predict")]
    assert len(predictions) == 6
    assert all(f"model: {NAME} v0.1.0" in text and "model-1, weights" in text for text in predictions)
    assert (project / "best/model.onnx").read_bytes() == (models / "1/model.onnx").read_bytes()
    assert said[f"git show {NAME}@v0.1.0:metrics/best.json"] == "1"
    assert "v0.1.0" in said["gto show"]
    assert "assignment" in said[f"gto history {NAME}"]
    tags = run(project, "git", "tag").stdout.split()
    assert f"{NAME}@v0.2.0!" in tags
    assert f"{NAME}#prod!#5" in tags
    assert f"{NAME}#dev#1" in tags
