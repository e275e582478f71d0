"""The graph keeps its promises: true dependencies, and a choice that cannot see the test set."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from clones import clone_to
from dvc.repo import Repo

from pneumo import params

ROOT = Path(__file__).parent.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
# What writes a dependency that cannot be listed: metrics/NAME.json, and models/ensembles, which may not be there.
WRITERS = {
    "report": {"stages/evaluate.py", "stages/evaluate_ensemble.py", "stages/evaluate_external.py"},
    "score": {"stages/ensemble.py"},
    "select_best": {"stages/ensemble.py"},
}
# Exception names and a version cannot change a result. Parameters are tracked by their values.
NO_DEPENDENCY = {"__init__", "errors", "params"}
# Package or module of pneumo/ -> what it may import, besides files and errors.
MAY_IMPORT = {
    "errors": set(),
    "files": set(),
    "data": set(),
    "shards": {"data"},
    "sources": {"data", "shards"},
    "models": set(),
    "params": set(),
    "preprocessing": {"data", "shards"},
    "scoring": {"data", "models"},
    "evaluation": {"data", "models", "scoring"},
    "training": {"data", "models"},
    "audit": {"data", "shards", "preprocessing", "scoring", "evaluation"},
    "explain": {"data", "models", "scoring", "evaluation"},
    "record": {"scoring"},
    "report": {"data", "models", "scoring", "evaluation", "external", "record"},
    "external": {"data", "models", "preprocessing", "scoring", "evaluation", "audit"},
    "verification": {"params", "preprocessing", "models", "scoring", "evaluation", "external", "record", "report"},
    "review": {"data", "params", "scoring", "evaluation", "record", "report", "verification"},
    "serving": {"preprocessing"},
    "registry": {"serving"},
    "export": {"data", "evaluation", "explain", "models", "preprocessing", "scoring", "serving"},
    "web": {"preprocessing", "serving"},
    "dicom_sr": {"preprocessing", "serving"},
    "hub": {"models", "evaluation", "report", "serving"},
    "weights": {"models", "params"},
    "commands": {"verification", "review", "serving", "web", "registry", "dicom_sr", "hub", "weights"},
    "cli": {"commands"},
}


def imported(path: Path) -> set[Path]:
    """Files of pneumo/ that `path` imports when it runs, also inside functions."""
    named = set()
    if path == ROOT / "pneumo/sources/__init__.py":  # the one that data.source names
        named = {path.with_name(f"{name}.py") for name in params.SOURCES}
    tree = ast.parse(path.read_text())
    types_only = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    names = set()
    for node in ast.walk(tree):
        if id(node) in types_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    candidates = [ROOT / name.replace(".", "/") for name in names if name.split(".")[0] == "pneumo"]
    files = (file for base in candidates for file in (base.with_suffix(".py"), base / "__init__.py"))
    return named | {file for file in files if file.is_file()}


def reachable(path: Path) -> set[Path]:
    """All files of pneumo/ that run when `path` does."""
    seen: set[Path] = set()
    todo = {path}
    while todo:
        new = {file for source in todo for file in imported(source)} - seen
        seen |= new
        todo = new
    return seen


def room(path: Path) -> str:
    """The package of pneumo/ that a file is in, or its name if it is in none."""
    return path.relative_to(ROOT / "pneumo").parts[0].removesuffix(".py")


def body(name: str) -> dict:
    return STAGES[name].get("do", STAGES[name])


def paths(entries: list) -> set[str]:
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_exactly_the_packages_that_it_imports(name):
    code = {dep for dep in paths(body(name)["deps"]) if dep.startswith(("pneumo/", "stages/"))}
    files = reachable(ROOT / "stages" / f"{name}.py")
    if ROOT / "pneumo/sources/__init__.py" in files:  # which imports a source by its name
        files |= {file for source in (ROOT / "pneumo/sources").glob("*.py") for file in reachable(source)}
    rooms = {room(file) for file in files} - NO_DEPENDENCY
    packages = {f"pneumo/{each}" + ("" if (ROOT / "pneumo" / each).is_dir() else ".py") for each in rooms}
    assert sorted(code) == sorted({f"stages/{name}.py", *packages, *WRITERS.get(name, ())})


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_runs_its_own_module(name):
    assert body(name)["cmd"].removesuffix(" ${key}") == f"python -m stages.{name}"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_given_exactly_the_parameters_that_dvc_tracks_for_it(name):
    assert sorted(body(name)["params"]) == params.declared(import_module(f"stages.{name}").Params)


def test_packages_import_only_what_the_table_allows():
    for path in (ROOT / "pneumo").rglob("*.py"):
        own = room(path)
        if own != "__init__":
            others = {room(file) for file in imported(path)} - {own, "files", "errors", "__init__"}
            assert others <= MAY_IMPORT[own], path
    assert set(MAY_IMPORT) == {room(path) for path in (ROOT / "pneumo").rglob("*.py")} - {"__init__"}


EDITS = {  # file -> the stages that an edit of it runs, before what follows from their outputs
    "pneumo/sources/archive.py": ["download"],
    "pneumo/shards.py": ["audit", "download", "preprocess"],
    "pneumo/external/measure.py": ["report"],
    "pneumo/preprocessing/images.py": ["audit", "guard", "preprocess"],
    "pneumo/training/train.py": ["explain", "train"],
    "pneumo/explain/grad_cam.py": ["ablation", "explain", "export"],
    "pneumo/audit/labels.py": ["audit"],
    "pneumo/report/templates/page.css": ["report"],
    "pneumo/evaluation/metrics.py": [
        "ablation",
        "audit",
        "calibrate",
        "ensemble",
        "evaluate",
        "evaluate_ensemble",
        "explain",
        "guard",
        "report",
        "score",
        "select_best",
    ],
    "pneumo/scoring/scores.py": [
        "ablation",
        "audit",
        "calibrate",
        "ensemble",
        "evaluate",
        "evaluate_ensemble",
        "explain",
        "export",
        "guard",
        "predict",
        "report",
        "score",
        "select_best",
    ],
    "pneumo/record/parse.py": ["report"],
    "pneumo/params/loading.py": [],
    "pneumo/verification/gate.py": [],
    "pneumo/review/page.py": [],
    "pneumo/cli.py": [],
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    return clone_to(tmp_path_factory.mktemp("edits") / "pneumo", lock=True)


@pytest.mark.slow
@pytest.mark.parametrize("file", EDITS)
def test_an_edit_runs_only_the_stages_that_use_it(clone, file):
    text = (clone / file).read_text()
    before = edited(clone)
    (clone / file).write_text(text + ("/* edited */" if file.endswith(".css") else "# edited\n"))
    assert sorted(edited(clone) - before) == EDITS[file]
    (clone / file).write_text(text)


def edited(clone: Path) -> set[str]:
    """Stages of which DVC says that code they depend on has changed."""
    with Repo(clone) as repo, repo.lock:
        return {
            stage.name.partition("@")[0]
            for stage in repo.index.stages
            for dep in stage.deps
            if str(dep).startswith(("pneumo", "stages")) and dep.changed_checksum()
        }


def upstream(name: str) -> set[str]:
    """All stages whose outputs reach `name`."""
    needed = paths(body(name)["deps"])
    makers = {other for other in STAGES for made in produced(other) if any(overlap(made, dep) for dep in needed)}
    return makers | {further for maker in makers for further in upstream(maker)}


def produced(name: str) -> set[str]:
    return set().union(*(paths(body(name).get(kind, [])) for kind in ("outs", "metrics", "plots")))


def sources(name: str, file: str | None = None) -> set[str]:
    """All files and folders that what `name` writes depends on, traced file by file."""
    needed = paths(body(name)["deps"])
    makers = {
        other: [made for made in produced(other) if any(overlap(made, dep) for dep in needed)] for other in STAGES
    }
    return needed.union(*(sources(other) for other, made in makers.items() if made and other != name))


def overlap(made: str, dep: str) -> bool:
    return made == dep or made.startswith(dep + "/") or dep.startswith(made + "/")


LIST = "scores/suspected_labels.csv"
TEST_RESULTS = ("outputs/test", "scores/test", LIST, "metrics")


@pytest.mark.parametrize("name", ["train", "predict", "calibrate", "ensemble", "select_best", "export"])
def test_what_trains_calibrates_or_chooses_cannot_reach_test_results(name):
    assert not [file for file in sources(name) if file.startswith(TEST_RESULTS)]


def test_what_the_guard_flags_of_test_images_reaches_the_report_alone():
    assert {name for name in STAGES if "guard" in upstream(name)} == {"report"}


def test_the_ablation_sees_no_test_results():
    assert not [file for file in sources("ablation") if file.startswith(TEST_RESULTS)]


def test_only_evaluate_explain_and_report_see_test_results():
    readers = {name for name in STAGES if any(file.startswith(TEST_RESULTS) for file in sources(name))}
    assert readers == {
        "evaluate",
        "evaluate_ensemble",
        "evaluate_external",
        "explain",
        "report",
        "score",
    }


def test_nothing_is_trained_calibrated_or_selected_on_another_hospital():
    external = {name for name in STAGES if name.endswith("_external")}
    assert {name for name in STAGES if upstream(name) & external} <= {*external, "report"}


def test_only_evaluation_and_the_report_see_the_audit():
    """It measures the test set too, so nothing that is trained or chosen may follow from it."""
    readers = {name for name in STAGES if "audit" in upstream(name)}
    assert readers == {"evaluate", "evaluate_ensemble", "evaluate_external", "report"}


def test_suspected_labels_reach_figures_and_the_report_and_no_choice():
    readers = {name for name in STAGES if any(overlap(LIST, dep) for dep in paths(body(name)["deps"]))}
    assert readers == {"evaluate", "evaluate_ensemble", "report"}
    assert LIST in produced("audit")
    assert not [file for file in sources("select_best") if overlap(LIST, file)]


def test_data_moves_one_way():
    order = ["download", "download_site", "preprocess", "audit", "train", "predict", "calibrate", "ensemble"]
    order += ["score", "evaluate", "evaluate_ensemble", "select_best", "export", "guard"]
    order += [f"{verb}_external" for verb in ("download", "preprocess", "predict", "evaluate")]
    order += ["ablation", "explain", "report"]
    assert list(STAGES) == order
    for position, name in enumerate(order):
        assert upstream(name) <= set(order[:position])


@pytest.mark.slow
def test_light_stages_start_without_torch(root):
    for name in ("download", "preprocess", "audit", "calibrate", "ensemble", "select_best", "report"):
        code = f"import sys, stages.{name}; sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0, name


@pytest.mark.slow
def test_the_code_hash_of_a_model_is_of_what_train_depends_on(root):
    code = """
import sys
import stages.train
from pneumo.models import bundle
from pneumo.training import train
names = [name for name in sys.modules if name.startswith("pneumo.")]
print(" ".join(name for name in names if not name.startswith(bundle.WITHOUT_EFFECT)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    packages = {name.split(".")[1] for name in done.stdout.split()}
    assert packages == {room(root / dep) for dep in paths(body("train")["deps"]) if dep.startswith("pneumo/")}
