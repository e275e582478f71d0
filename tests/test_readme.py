"""Every command of the pages runs in a test, or its line in page_commands says why not."""

import ast
import re
import time
from pathlib import Path

import pytest
import yaml
from clones import clone_to, ran, run
from page_commands import HERE, OTHER_PAGES, README, ROOT, block, blocks, is_output, spans

IN_PLACE_OF_STAGES = """
import hashlib, json, sys
from pathlib import Path
import yaml
name, *key = sys.argv[1:]
key = "".join(key)
made = {**(params := yaml.safe_load(Path("params.yaml").read_text()))["replicates"], **params["ensemble_replicates"]}
item = made.get(key, {"folder": "", "candidate": ""})
stage = yaml.safe_load(Path("dvc.yaml").read_text())["stages"][name]
stage = stage.get("do", stage)
number = int(hashlib.sha256(Path("params.yaml").read_bytes()).hexdigest()[:4], 16) / 0xFFFF
for out in (*stage.get("outs", ()), *stage.get("metrics", ()), *stage.get("plots", ())):
    text = (out if isinstance(out, str) else next(iter(out))).replace("${key}", key)
    path = Path(text.replace("${item.folder}", item["folder"]).replace("${item.candidate}", item["candidate"]))
    if not path.suffix:
        path = path / "made"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"roc_auc": number, "stress": {"all": {"roc_auc": number}}}))
"""


def test_every_command_of_the_readme_is_accounted_for():
    assert set(blocks(ROOT / "README.md")) | set(spans(ROOT / "README.md")) == set(README)


def test_every_command_of_the_other_pages_is_accounted_for():
    pages = [ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    commands = {command for page in pages for command in blocks(page) if not is_output(command)}
    assert commands - set(README) == set(OTHER_PAGES)


@pytest.mark.parametrize("place", sorted({place for place in (README | OTHER_PAGES).values() if "::" in place}))
def test_the_tests_named_here_exist(place):
    path, name = place.split("::")
    functions = [node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if hasattr(node, "name")]
    assert name in functions


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the committed graph, whose stages write made-up files: what is tested is Hydra, git and DVC."""
    clone = clone_to(tmp_path_factory.mktemp("readme") / "pneumo")
    graph = yaml.safe_load((clone / "dvc.yaml").read_text())
    for name, stage in graph["stages"].items():
        stage.get("do", stage)["cmd"] = f"python stand_in.py {name}" + (" ${key}" if "foreach" in stage else "")
    (clone / "dvc.yaml").write_text(yaml.safe_dump(graph, sort_keys=False))
    (clone / "stand_in.py").write_text(IN_PLACE_OF_STAGES)
    run(clone, "git", "checkout", "-qB", "main")
    run(clone, "git", "add", "-A")
    run(clone, "git", "commit", "-qm", "stand-ins")
    return clone


@pytest.mark.slow
def test_the_commands_for_experiments_run_as_they_stand(clone):
    typed = []

    def type_(command: str, **words: str) -> str:
        typed.append(command)
        return run(clone, "sh", "-c", command.replace("NAME", words.get("name", "NAME"))).stdout

    def params() -> dict:
        return yaml.safe_load((clone / "params.yaml").read_text())

    one, two, many, sweep = (command for command in README | OTHER_PAGES if is_run_here(command, "dvc exp run"))
    trained = [stage for stage in ran(type_(one)) if stage.startswith("train")]
    assert trained == ["train@inceptionv3", "train@inceptionv3-1", "train@inceptionv3-2"]
    assert "metrics/best.json" in type_("dvc metrics diff")
    assert "model.inceptionv3.epochs" not in type_("dvc params diff"), "as in the commit"
    type_(two)
    assert (params()["model"]["resnet50"]["lr"], params()["model"]["resnet50"]["epochs"]) == (1e-4, 6)
    assert "metrics/best.json" in type_("dvc metrics diff main")

    queued = re.findall(r"Queued experiment '(\S+?)'", type_(many))
    assert len(queued) == 2
    type_("dvc queue start")
    while set(queued) & set(waiting := states(clone)) and {"Queued", "Running"} & set(waiting.values()):
        time.sleep(1)
    assert {states(clone)[name] for name in queued} == {"Success"}
    assert all(name in type_("dvc exp show --only-changed") for name in queued)
    type_("dvc exp apply NAME", name=queued[0])
    assert list(params()["model"]) == ["cnn"]

    assert len(re.findall("Queued experiment", type_(sweep))) == 9
    ranked = type_(next(command for command in OTHER_PAGES if command.startswith("dvc exp show --only-changed --sort")))
    assert all(name in ranked for name in queued)
    assert set(typed) == {command for command in README | OTHER_PAGES if is_run_here(command)}


@pytest.mark.slow
def test_workers_of_the_queue_leave_nothing_to_train(clone):
    *before, last = block("cluster.md", "export PNEUMO_CHECKPOINTS=$PWD")
    run(clone, "git", "stash", "--include-untracked")
    run(clone, "dvc", "queue", "remove", "--all")
    assert run(clone, "sh", "-ec", "\n".join(before)).stdout.count("Queued experiment") == 2
    while {"Queued", "Running"} & set(states(clone).values()):
        time.sleep(1)
    said = run(clone, "sh", "-c", last).stdout
    assert ran(said), "what is about both"
    assert not [stage for stage in ran(said) if stage.startswith(("download", "preprocess", "train", "predict"))]


@pytest.mark.slow
def test_a_job_anywhere_leaves_its_network_in_the_shared_cache(clone, tmp_path, monkeypatch):
    run(clone, "git", "stash", "--include-untracked")
    cache = str(tmp_path / "cache")  # of its own: the experiments above may have trained this very network
    run(clone, "dvc", "cache", "dir", "--local", cache)
    run(clone, "dvc", "repro", "--force", "preprocess")
    commit = run(clone, "git", "rev-parse", "HEAD").stdout.strip()
    for name, value in {"PROJECT": str(clone), "COMMIT": commit, "CACHE": cache, "SHARED": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NAME", "cnn-1")
    said = run(tmp_path, "sh", "-ec", "\n".join(block("cluster.md", "git clone --quiet"))).stdout
    assert ran(said) == ["train@cnn-1", "predict@cnn-1"]
    assert ran(run(clone, "dvc", "repro", "predict@cnn-1").stdout) == []


def is_run_here(command: str, start: str = "") -> bool:
    return (README | OTHER_PAGES)[command] == HERE and command.startswith(start)


def states(clone: Path) -> dict[str, str]:
    """Name of each experiment of the queue -> its state."""
    rows = [line.split() for line in run(clone, "dvc", "queue", "status").stdout.splitlines()]
    return {row[1]: row[-1] for row in rows if len(row) > 2}
