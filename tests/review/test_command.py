"""`pneumo review` as it is typed: exit codes, formats, and messages without a traceback."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project import Project, git, table

pytestmark = pytest.mark.slow

CODE = (
    "import sys; from pneumo import cli; code = cli.main(); "
    "heavy = {'torch', 'timm', 'lightning', 'dvc', 'sklearn'} & set(sys.modules); "
    "sys.exit(f'imports {heavy}' if heavy else code)"
)


def pneumo(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", CODE, "review", *words], cwd=root, capture_output=True, text=True)


@pytest.fixture(scope="module")
def branches(tmp_path_factory) -> Path:
    """A DVC project with the branches main, worse, better and other (a test image less)."""
    project = Project(tmp_path_factory.mktemp("branches") / "p", {"cnn": 1.2})
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=project.root, check=True)
    stage = {"cmd": "x", "params": ["review"], "metrics": [{"metrics/cnn.json": {"cache": False}}]}
    (project.root / "dvc.yaml").write_text(json.dumps({"stages": {"evaluate": stage}}))
    project.commit()
    made = {"worse": table(2.2, seed=1), "better": table(0.6, seed=1), "other": table(1.2).iloc[1:]}
    for name, test in made.items():
        git(project.root, "checkout", "-q", "-b", name, "main")
        project.score("cnn", test)
        project.select("cnn")
        project.commit(name)
    git(project.root, "checkout", "-q", "main")
    return project.root


@pytest.mark.parametrize(
    ("head", "code", "verdict"),
    [("main", 0, "within noise"), ("better", 0, "better"), ("worse", 1, "worse"), ("other", 3, "not comparable")],
)
def test_the_exit_code_is_the_verdict(branches, head, code, verdict):
    done = pneumo(branches, "main", head)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith(f"## pneumo review: {verdict}\n")


def test_dvc_speaks_for_itself(branches):
    done = pneumo(branches, "main", "better")
    base, head = (git(branches, "rev-parse", branch)[:10] for branch in ("main", "better"))
    assert f"<summary><code>dvc metrics diff --md --precision 6 {base} {head}</code></summary>" in done.stdout
    new = json.loads(git(branches, "show", "better:metrics/cnn.json"))["roc_auc"]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if "|" in line]
    (row,) = (row for row in rows if row[:2] == ["metrics/cnn.json", "roc_auc"])
    assert float(row[3]) == new


def test_the_working_tree_is_the_default_and_json_is_for_machines(branches):
    done = pneumo(branches, "better", "--format", "json")
    content = json.loads(done.stdout)
    assert (content["verdict"], content["exit_code"], done.returncode) == ("worse", 1, 1)
    assert content["head"] == {"name": "working tree", "commit": None}
    assert list(content["dvc"]) == [
        f"dvc {what} --json{' --precision 6' if 'metrics' in what else ''} {content['base']['commit'][:10]}"
        for what in ("metrics diff", "params diff")
    ]
    assert content["dvc"]["dvc metrics diff --json --precision 6 " + content["base"]["commit"][:10]]


def test_the_merge_base_leaves_out_what_the_base_has_gained(branches):
    git(branches, "checkout", "-q", "--detach", "main")
    assert pneumo(branches, "worse", "--merge-base").stdout.startswith("## pneumo review: within noise")
    assert pneumo(branches, "worse").stdout.startswith("## pneumo review: better")
    git(branches, "checkout", "-q", "main")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: BASE"),
        (["nowhere"], "error: git knows no commit 'nowhere'"),
        (["main", "nowhere"], "error: git knows no commit 'nowhere'"),
        (["main", "--format", "yaml"], "invalid choice: 'yaml'"),
    ],
)
def test_bad_usage_is_two(branches, words, message):
    done = pneumo(branches, *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_where_dvc_fails_its_words_stand_in_its_place(branches, tmp_path):
    shutil.copytree(branches, tmp_path / "p")
    git(tmp_path / "p", "checkout", "-qf", "better")
    (tmp_path / "p/dvc.yaml").write_text("stages:\n  x:\n    nonsense: 1\n")  # YAML, and no pipeline
    git(tmp_path / "p", "commit", "-qam", "spoilt")
    done = pneumo(tmp_path / "p", "main", "better")
    assert done.returncode == 0
    assert "failed to load metrics in revision" in done.stdout
    assert "validation failed" in done.stdout


def test_from_another_folder_the_error_says_so(branches):
    (branches / "below").mkdir(exist_ok=True)
    for words in (["main"], ["main", "better"]):
        done = pneumo(branches / "below", *words)
        assert done.returncode == 2
        assert "run from the project's top folder" in done.stderr


def test_neither_a_plain_terminal_nor_a_closed_pipe_is_worse(branches):
    code = [sys.executable, "-c", CODE, "review", "main", "better"]
    done = subprocess.run(code, cwd=branches, env={**os.environ, "PYTHONIOENCODING": "latin-1"}, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    shell = f'"{sys.executable}" -c "{CODE}" review main better | true; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", shell], cwd=branches, capture_output=True, text=True)
    assert (done.returncode, done.stderr) in [(2, ""), (0, "")]


def test_a_bug_is_no_verdict(branches):
    code = "from pneumo.review import result as r; r.review = lambda *_: 1 / 0; " + CODE
    done = subprocess.run([sys.executable, "-c", code, "review", "main"], cwd=branches, capture_output=True, text=True)
    assert done.returncode == 2
    assert "ZeroDivisionError" in done.stderr
    assert "error: this is a bug in pneumo" in done.stderr


def test_make_review_writes_what_it_prints(root, branches, tmp_path):
    shutil.copytree(branches, tmp_path / "p")
    shutil.copy(root / "Makefile", tmp_path / "p/Makefile")
    shutil.copy(root / "requirements.lock", tmp_path / "p/requirements.lock")
    (tmp_path / "p/.venv").mkdir()
    (tmp_path / "p/.venv/.complete").touch()
    (tmp_path / "p/.venv/bin").symlink_to(Path(sys.executable).parent)
    (tmp_path / "p/pyproject.toml").touch()
    os.utime(tmp_path / "p/.venv/.complete", (2**31, 2**31))
    git(tmp_path / "p", "checkout", "-qf", "worse")
    done = subprocess.run(["make", "-s", "review", "BASE=main"], cwd=tmp_path / "p", capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "Error 1" in done.stderr
    assert (tmp_path / "p/review.md").read_text() == done.stdout
    assert done.stdout.startswith("## pneumo review: worse")
