"""The graph keeps its promises: true dependencies, and a choice that cannot see the test part."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
# What writes a dependency that cannot be listed, because without ensembles it is not there.
WRITERS = {"select_best": {"pneumo/ensemble.py"}}
# A version string and exception names cannot change a result.
WITHOUT_EFFECT = {"pneumo/__init__.py", "pneumo/errors.py"}


def imported(path: Path) -> set[Path]:
    """Files of pneumo/ that `path` imports anywhere, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    candidates = [ROOT / name.replace(".", "/") for name in names if name.split(".")[0] == "pneumo"]
    return {file for base in candidates for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()}


def reachable(path: Path) -> set[str]:
    seen: set[Path] = set()
    todo = {path}
    while todo:
        new = {file for one in todo for file in imported(one)} - seen
        seen |= new
        todo = new
    return {file.relative_to(ROOT).as_posix() for file in seen} - WITHOUT_EFFECT


def module(name: str) -> str:
    """The module of a stage. An ensemble is evaluated like a backbone, with other dependencies."""
    return {"evaluate_ensemble": "evaluate"}.get(name, name)


def body(name: str) -> dict:
    return STAGES[name].get("do", STAGES[name])


def paths(entries: list) -> set[str]:
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_exactly_the_modules_that_it_imports(name):
    declared = {path for path in paths(body(name)["deps"]) if path.startswith("pneumo/") and path.endswith(".py")}
    assert sorted(declared) == sorted(reachable(ROOT / "stages" / f"{module(name)}.py") | WRITERS.get(name, set()))


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_runs_and_depends_on_its_own_module(name):
    assert body(name)["cmd"].removesuffix(" ${key}") == f"python -m stages.{module(name)}"
    assert f"stages/{module(name)}.py" in paths(body(name)["deps"])


def upstream(name: str) -> set[str]:
    """All stages whose outputs reach `name`."""
    needed = paths(body(name)["deps"])
    makers = {
        other
        for other in STAGES
        for made in produced(other)
        if any(made == dep or made.startswith(dep + "/") or dep.startswith(made + "/") for dep in needed)
    }
    return makers | {further for maker in makers for further in upstream(maker)}


def produced(name: str) -> set[str]:
    return set().union(*(paths(body(name).get(kind, [])) for kind in ("outs", "metrics", "plots")))


def test_the_choice_cannot_reach_test_scores():
    assert upstream("select_best") == {"ensemble", "calibrate", "validate", "train", "preprocess", "download"}
    assert not any(dep.startswith(("scores/test", "metrics")) for dep in paths(body("select_best")["deps"]))


def test_only_explain_and_report_see_the_test_results():
    readers = {name for name in STAGES if {"evaluate", "evaluate_ensemble"} & upstream(name)}
    assert readers == {"explain", "report"}


def test_only_the_report_sees_the_audit():
    """It measures the test part too, so nothing that is trained or chosen may follow from it."""
    assert {name for name in STAGES if "audit" in upstream(name)} == {"report"}


def test_the_report_depends_on_its_templates():
    templates = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pneumo/templates").iterdir() if path.is_file()}
    templates = {path for path in templates if not path.endswith((".py", ".pyc"))}
    assert len(templates) == 3
    assert templates <= paths(body("report")["deps"])


def test_data_moves_one_way():
    order = ["download", "preprocess", "audit", "train", "validate", "calibrate", "ensemble"]
    order += ["evaluate", "evaluate_ensemble", "select_best", "explain", "report"]
    assert list(STAGES) == order
    for position, name in enumerate(order):
        assert upstream(name) <= set(order[:position])


@pytest.mark.parametrize("name", STAGES)
def test_declared_parameters_exist(name):
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    for key in body(name)["params"]:
        place = values
        for part in key.replace("model.${key}", "model.cnn").replace("${key}", "ensemble").split("."):
            assert part in place, key
            place = place[part]


def test_layers_import_only_downwards():
    layers = [
        {"params", "manifest", "images", "augment", "backbones", "calibration", "thresholds", "errors", "runtime"},
        {"markdown", "published", "runlog", "checkpoints", "curves"},
        {"scores", "bootstrap", "figures", "templates"},
        {"stress", "sources", "splits", "packed", "bundle"},
        {"metrics", "decision", "perturb", "probe"},
        {"audit", "classifier", "inference", "choice", "compare"},
        {"preprocessing", "auditing", "feeding", "validation", "ensemble", "results", "record"},
        {"training", "scoring", "explain", "samples", "gallery", "verdict", "tables"},
        {"page", "model_card", "verify", "review"},
        {"report", "gate"},
        {"cli"},
    ]
    level = {name: number for number, names in enumerate(layers) for name in names}
    for path in (ROOT / "pneumo").rglob("*.py"):
        own = path.relative_to(ROOT / "pneumo").parts[0].removesuffix(".py")
        for file in imported(path):
            other = file.relative_to(ROOT / "pneumo").parts[0].removesuffix(".py")
            if "__init__" in (own, other) or own == other:
                continue
            assert level[other] < level[own] or other == "errors", (own, other)


def test_light_stages_start_without_torch(root):
    for name in ("download", "preprocess", "audit", "calibrate", "ensemble", "select_best", "report"):
        code = f"import sys, stages.{name}; sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0, name


def test_the_code_hash_of_a_model_is_of_what_train_depends_on(root):
    code = """
import sys
from pneumo import bundle, runtime
import stages.train
from pneumo import training
names = (name for name in sys.modules if name.startswith("pneumo.") and name not in bundle.WITHOUT_EFFECT)
print(" ".join(sorted(name.replace(".", "/") + ".py" for name in names)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    declared = sorted(path for path in paths(body("train")["deps"]) if path.startswith("pneumo/"))
    assert done.stdout.split() == declared
