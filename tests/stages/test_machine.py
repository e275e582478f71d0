"""machine.json: what gave the results. A second run that gives the same leaves it alone."""

import json
from pathlib import Path

import pytest
from project import git

from pneumo.params import Runtime
from stages import machine

RUNTIME = Runtime(threads=2, cpu_isa="avx2")
X86 = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n\nprocessor\t: 1\nmodel\t\t: 9\n"
ARM = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n"


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results and the machine.json of another processor, in one commit; it is the working folder."""
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "-q")
    for path, content in {"metrics/cnn.json": "1\n", "scores/test/cnn.csv": "2\n", "machine.json": "{}\n"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "results")
    return tmp_path


def noted(root: Path) -> dict:
    machine.note(RUNTIME)
    return json.loads((root / "machine.json").read_text())


def test_results_as_in_head_keep_its_machine_also_where_another_lies_there(committed):
    assert noted(committed) == {}
    (committed / "machine.json").write_text('{"processor": "of a run before"}\n')
    assert noted(committed) == {}
    assert git(committed, "status", "--porcelain") == ""


@pytest.mark.parametrize("path", ["metrics/cnn.json", "scores/test/cnn.csv", "scores/test/new.csv"])
def test_other_results_name_this_machine(committed, path):
    (committed / path).write_text("other\n")
    content = noted(committed)
    assert content["processor"] == machine.processor(Path("/proc/cpuinfo"))
    assert content["runtime"] == {"threads": 2, "cpu_isa": "avx2"}
    assert {"torch", "numpy", "scipy"} <= set(content["libraries"])


@pytest.mark.parametrize("commits", ["none", "without the file", "no git"])
def test_where_head_names_no_machine_it_is_this_one(committed, commits, monkeypatch):
    if commits == "without the file":
        git(committed, "rm", "-q", "--cached", "machine.json")
        git(committed, "commit", "-qm", "without")
    else:
        (committed / ".git").rename(committed / "git")
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(committed.parent))
    if commits == "none":
        git(committed, "init", "-q")
    assert set(noted(committed)) == {"processor", "python", "libraries", "runtime"}


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [(X86, {"vendor": "GenuineIntel", "family": 6, "model": 143}), (ARM, None), (None, None)],
)
def test_a_processor_is_named_by_vendor_family_and_model_and_no_host(tmp_path, cpuinfo, expected):
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    named = machine.processor(tmp_path / "cpuinfo")
    assert named == (expected or {"vendor": named["vendor"], "family": None, "model": None})
    assert named["vendor"]


def test_the_committed_file_is_what_the_stage_writes(root):
    content = json.loads((root / "machine.json").read_text())
    assert set(content) == {"processor", "python", "libraries", "runtime"}
    assert set(content["processor"]) == {"vendor", "family", "model"}
