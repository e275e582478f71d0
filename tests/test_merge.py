"""The documented way out of a conflict in dvc.lock: two branches, merged without training anything."""

from pathlib import Path

import pytest
import yaml
from clones import SMALL, clone_to, ran, run
from omegaconf import OmegaConf

from pneumo.verification import gate

IN_PLACE_OF_A_NETWORK = """
import hashlib, sys
from pathlib import Path
import numpy as np
import yaml
from pneumo import files
from pneumo.data import manifest
from pneumo.models import bundle
from pneumo.models.perturbations import NAMES
from pneumo.scoring import scores, stress
stage, name = sys.argv[1:]
folder = Path("models/trained", name)
if stage == "train":
    backbone = yaml.safe_load(Path("params.yaml").read_text())["model"][name]
    values = {key: 1 for key in bundle.TRAINING_KEYS} | {"name": name, "kind": "backbone", "sha256": {"weights": "0"}}
    files.write_json(folder / "training.json", values)
    (folder / "model.safetensors").write_text(f"{backbone['lr']} {backbone['dropout']}")
    Path("dvclive", name, "plots/metrics").mkdir(parents=True)
else:
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).digest()
    chance = np.random.default_rng(list(weights))
    table = manifest.read_manifest(Path("data/processed/manifest.csv"))
    for split in ("val", "test"):
        rows = table[table["split"] == split].sort_values("image")
        logits = 2 * rows["label"].to_numpy()[:, None] - 1 + chance.normal(0, 1, (len(rows), len(NAMES)))
        paths = scores.paths(Path("outputs"), name, name)
        scores.write(scores.table(rows, logits[:, 0]), paths[split])
        if split == "val":
            stress.write(stress.table(rows, logits), paths["stress"])
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A project of two networks, whose conf/config.yaml composes to itself; nothing has run.

    They are drawn numbers that depend on the parameters: what is tested is git and DVC.
    """
    clone = clone_to(tmp_path_factory.mktemp("merge") / "pneumo")
    overrides = [one for one in SMALL if "cnn10" not in one]
    config = OmegaConf.create(gate.compose(clone, "model=cnn", *overrides))
    config.model.other = config.model.cnn
    config.replicates.other = {"candidate": "other", "seed": 0, "folder": "other"}
    (clone / "conf/config.yaml").write_text(OmegaConf.to_yaml(config))
    graph = yaml.safe_load((clone / "dvc.yaml").read_text())
    for name in (
        "audit",
        "export",
        "guard",
        "ablation",
        "explain",
        "report",
    ):  # what follows from the rest would only take time
        del graph["stages"][name]
    (clone / "drawn.py").write_text(IN_PLACE_OF_A_NETWORK)
    for name in ("train", "predict"):
        graph["stages"][name]["do"]["cmd"] = f"python drawn.py {name} ${{key}}"
    (clone / "dvc.yaml").write_text(yaml.safe_dump({"stages": graph["stages"]}, sort_keys=False))
    run(clone, "git", "checkout", "-qB", "main")
    run(clone, "git", "add", "-A")
    run(clone, "git", "commit", "-qm", "two networks")
    return clone


def branch(clone: Path, name: str, model: str, key: str, value: float) -> None:
    run(clone, "git", "checkout", "-qb", name, "main")
    path = clone / "conf/config.yaml"
    config = OmegaConf.load(path)
    config.model[model][key] = value
    path.write_text(OmegaConf.to_yaml(config))
    run(clone, "dvc", "exp", "run")
    run(clone, "git", "add", "-A")
    run(clone, "git", "commit", "-qm", name)


@pytest.mark.slow
def test_two_branches_are_merged_and_nothing_is_trained_twice(clone):
    branch(clone, "faster", "cnn", "lr", 0.002)
    branch(clone, "drier", "other", "dropout", 0.1)
    merged = run(clone, "git", "merge", "faster", check=False)
    assert "CONFLICT (content): Merge conflict in dvc.lock" in merged.stdout
    assert "<<<<<<<" not in (clone / "dvc.lock").read_text()
    # The lines of docs/pull-requests.md:
    run(clone, "git", "add", "-A")
    run(clone, "git", "commit", "--no-edit", "-q")
    output = run(clone, "dvc", "exp", "run").stdout
    assert not [stage for stage in ran(output) if stage.startswith("train")]
    assert "Stage 'train@cnn' is cached - skipping run, checking out outputs" in output
    assert "select_best" in ran(output)
    run(clone, "git", "commit", "-qa", "--amend", "--no-edit")
    assert len(run(clone, "git", "rev-list", "--parents", "-1", "HEAD").stdout.split()) == 3, "still a merge"
    params = yaml.safe_load((clone / "params.yaml").read_text())
    assert (params["model"]["cnn"]["lr"], params["model"]["other"]["dropout"]) == (0.002, 0.1)
    for name, of in (("cnn", "faster"), ("other", "drier")):
        assert run(clone, "git", "diff", "--stat", of, "HEAD", "--", f"scores/test/{name}.csv").stdout == ""
    assert "up to date" in run(clone, "dvc", "status").stdout
