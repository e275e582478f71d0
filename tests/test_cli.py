"""The `pneumo` command, as it is typed."""

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from records import first_cell, make, more, put, text

from pneumo import cli

pytestmark = pytest.mark.slow

PAGE = "# All\n<!-- pneumo table: results/past -->\n<!-- /pneumo table -->\n"


def pneumo(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in `folder`; it fails if that imports torch or what needs it."""
    code = (
        "import sys; from pneumo import cli; code = cli.main(); "
        "heavy = {'torch', 'torchvision', 'timm', 'lightning', 'dvc', 'requests'} & set(sys.modules); "
        "sys.exit(f'imports {heavy}' if heavy else code)"
    )
    return subprocess.run([sys.executable, "-c", code, *words], cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its own record and one in results/. Tests only read it, or undo what they change."""
    root = make(tmp_path_factory.mktemp("project"))
    make(root / "results/past")
    (root / "results/README.md").write_text(PAGE)
    (root / "results/past/README.md").unlink()
    (root / "results/notes").mkdir()
    (root / "docs").mkdir()
    (root / "docs/numbers.md").write_text(PAGE)
    return root


def test_the_command_is_installed_under_its_name(root: Path) -> None:
    scripts = tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"]
    module, name = scripts["pneumo"].split(":")
    assert getattr(import_module(module), name) is cli.main


def test_help_is_there_without_importing_what_computes(tmp_path: Path) -> None:
    code = "import sys; from pneumo import cli; print({'numpy', 'pandas', 'yaml'} & set(sys.modules) or 'light')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "light", done
    for words in (["--help"], *([name, "--help"] for name in ("review", "status", "gate", "verify", "tables"))):
        assert pneumo(tmp_path, *words).returncode == 0
    shown = pneumo(tmp_path, "--help").stdout
    assert all(word in shown for word in ("review", "status", "gate", "verify", "tables"))


def test_tables_are_written_and_then_everything_is_verified(project: Path) -> None:
    written = pneumo(project, "tables")
    assert (written.returncode, written.stderr) == (0, "")
    assert written.stdout.splitlines() == [
        "README.md: 2 tables",
        "docs/numbers.md: 1 tables",
        "results/README.md: 1 tables",
    ]
    done = pneumo(project, "verify")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    first, second, third, *rest = done.stdout.splitlines()
    assert first == "., results/past: 51 files verified"
    assert second.startswith("recomputed and identical: 10,000 scores, ")
    assert second.endswith("cells of 4 tables")
    assert third == "cannot be recomputed from scores: 352"
    assert [line.split()[0] for line in rest] == ["6", "6", "326", "6", "8"]


def test_the_first_difference_is_one_error_without_a_traceback(project: Path) -> None:
    path = project / "results/past/metrics/cnn.json"
    good = path.read_text()
    put("results/past/metrics/cnn.json", "f1", more(0.01))(project)
    done = pneumo(project, "verify")
    path.write_text(good)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: results/past/metrics/cnn.json: f1 is ")
    assert "rests on results/past/scores/test/cnn.csv" in done.stderr
    assert "Traceback" not in done.stderr


def test_with_folders_only_their_tables_are_verified(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    assert cli.main(["tables"]) == 0
    good = (project / "README.md").read_text()
    text("README.md", first_cell)(project)
    assert cli.main(["verify", "results/past/"]) == 0
    assert cli.main(["verify", str(project / "results/past")]) == 0
    assert cli.main(["verify", "."]) == 1
    assert "error: README.md, line " in capsys.readouterr().err
    (project / "README.md").write_text(good)


def test_a_folder_of_results_without_scores_is_no_reason_to_pass(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    (project / "results/past/scores").rename(project / "elsewhere")
    assert cli.main(["verify"]) == 1
    (project / "elsewhere").rename(project / "results/past/scores")
    assert "error: results/past/scores/val/cnn.csv is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [[], ["verfy"], ["verify", "--quick"], ["verify", "results/nowhere"], ["tables", "x"]]
)
def test_bad_usage_exits_with_2(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        cli.main(words)
    assert exit_.value.code == 2
    assert "usage: pneumo" in capsys.readouterr().err


def test_outside_of_a_project_the_error_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["verify"]) == 1
    assert "error: params.yaml is missing: run from the project's top folder" in capsys.readouterr().err


def test_every_committed_figure_is_recomputed(root):
    """Those of metrics/, of results/ and of the tables of the README: what `make verify` does."""
    command = [sys.executable, "-m", "pneumo.cli", "verify"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "results/cnn-resnet50" in done.stdout
