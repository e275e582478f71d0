"""The documented way out of a conflict in dvc.lock: two branches, merged without training anything."""

from pathlib import Path

import pytest
import yaml
from clones import SMALL, clone_to, ran, run
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A small project of two small networks of its own, whose conf/config.yaml composes to itself; nothing has run."""
    clone = clone_to(tmp_path_factory.mktemp("merge") / "pneumo")
    overrides = [one for one in SMALL if "cnn10" not in one]
    with initialize_config_dir(str(clone / "conf"), version_base=None):
        config = compose("config", ["model=cnn", *overrides])
    OmegaConf.resolve(config)
    OmegaConf.set_struct(config, False)
    config.model.other = config.model.cnn
    (clone / "conf/config.yaml").write_text(OmegaConf.to_yaml(config))
    graph = yaml.safe_load((clone / "dvc.yaml").read_text())
    for name in ("audit", "explain", "report"):  # what follows from the rest would only take time
        del graph["stages"][name]
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
