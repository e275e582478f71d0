"""The same bytes whatever the machine has beside `runtime`: as many cores as threads, fewer, or more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import AUGMENT, BACKBONE, TRAINING, changed

ROOT = Path(__file__).parents[2]
SCRIPT = """
import os
os.sched_setaffinity(0, {cores!r})
from pathlib import Path
from pneumo.models import runtime
runtime.fix(threads=2, cpu_isa="avx2")
from pneumo.params import Augment, Backbone, Training
from pneumo.training.train import train
out = Path({out!r})
train(
    "cnn", Path({store!r}), model=out / "model", curves=out / "curves", resume_from=out / "checkpoints",
    features=out / "features", backbone=Backbone(**{backbone!r}),
    augment=Augment(**{augment!r}), training=Training(**{training!r}))
"""
ALL = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def written(store: Path, out: Path, cores: list[int]) -> dict[str, bytes]:
    """What a run with two threads leaves that may use no other than `cores`."""
    values = {
        "cores": cores,
        "out": str(out),
        "store": str(store),
        "backbone": changed(BACKBONE, epochs=2).model_dump(),
        "augment": changed(AUGMENT, blur=0.5, noise=0.5).model_dump(),
        "training": TRAINING.model_dump(),
    }
    script = SCRIPT.format(**values)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE"}  # two threads on one core that do not spin
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.mark.slow
@pytest.mark.skipif(len(ALL) < 2, reason="needs two cores, and a system with affinity")
def test_one_core_gives_the_bytes_of_all(processed, tmp_path):
    all_cores = written(processed, tmp_path / "all", cores=ALL)
    assert "model/model.safetensors" in all_cores
    assert written(processed, tmp_path / "one", cores=ALL[:1]) == all_cores
