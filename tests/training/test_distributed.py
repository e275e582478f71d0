"""Two real processes against one with the same global batch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny import AUGMENT, BACKBONE, TRAINING, changed

ROOT = Path(__file__).parents[2]
OFF = changed(AUGMENT, rotate=0.0, area=(1.0, 1.0), aspect=1.0, flip=0.0, brightness=0.0, contrast=0.0)
OFF = changed(OFF, gamma=1.0, blur=0.0, noise=0.0)
# Without batch normalisation, whose statistics are of each process's own share, and without dropout, whose noise is.
BODY = {"architecture": "vgg11.tv_in1k", "input_size": 32, "optimizer": "sgd", "lr": 0.02, "dropout": 0.0, "epochs": 2}
SCRIPT = """
import sys
from pathlib import Path
from pneumo.models import runtime
runtime.fix(threads=1, cpu_isa="avx2")
from pneumo.params import Augment, Backbone, Training
from pneumo.training.train import train
if __name__ == "__main__":
    out = Path({out!r})
    train(
        "vgg", Path({store!r}), model=out / "model", curves=out / "curves", resume_from=out / "checkpoints",
        features=out / "features", backbone=Backbone(**{backbone!r}),
    augment=Augment(**{augment!r}), training=Training(**{training!r}), seed=0, film_fit="stretch")
"""


def trained(store: Path, out: Path, processes: int, launcher: str = "lightning") -> tuple[dict, str]:
    """Weights and what was printed; `launcher` starts the processes: Lightning, or torchrun from outside."""
    out.mkdir()
    values = {
        "out": str(out),
        "store": str(store),
        "backbone": changed(BACKBONE, **BODY, batch_size=16 // processes).model_dump(),
        "augment": OFF.model_dump(),
        "training": changed(TRAINING, devices=processes, monitor="loss").model_dump(),
    }
    script = out / "train.py"
    script.write_text(SCRIPT.format(**values))
    command = [sys.executable, str(script)]
    if launcher == "torchrun":
        command = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            f"--nproc-per-node={processes}",
            "--standalone",
            *command[1:],
        ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "SLURM"))}
    environment |= {"PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo", "MASTER_ADDR": "127.0.0.1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return load_file(out / "model/model.safetensors"), done.stdout


@pytest.fixture(scope="module")
def one(processed, tmp_path_factory) -> dict:
    """The weights that one process learns."""
    return trained(processed, tmp_path_factory.mktemp("one") / "one", 1)[0]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["lightning", "torchrun"])
def test_two_processes_learn_what_one_learns(processed, tmp_path, one, launcher):
    """The same weights within 1e-4 of their scale: sums are taken in another order, and nothing else differs."""
    two, said = trained(processed, tmp_path / "two", 2, launcher)
    start, _ = trained_start()
    moved = max(float(np.abs(one[key] - start[key]).max()) for key in start)
    assert moved > 1e-3, "nothing was learnt, and so nothing is shown"
    for key in one:
        np.testing.assert_allclose(two[key], one[key], atol=1e-4 * max(1.0, float(np.abs(one[key]).max())), err_msg=key)
    assert said.count("epoch 1/2") == 1, "one process speaks"
    assert not (tmp_path / "two/checkpoints").exists()


def trained_start() -> tuple[dict, str]:
    from pneumo.models import backbones

    network, digest = backbones.create(BODY["architecture"], input_size=32, dropout=0.0, weights="none", seed=0)
    return {key: value.numpy() for key, value in network.state_dict().items()}, digest
