"""Runs of `dvc queue` that were interrupted."""

import re
import time

import pytest
from clones import SMALL, clone_to, run
from test_readme import states

pytestmark = pytest.mark.slow

SETTINGS = ["model=cnn", "train.epochs=40", "train.patience=99", *SMALL[:4], "train.seeds=1", "model.cnn.input_size=32"]
LONG = 300  # seconds after which something hangs


@pytest.mark.parametrize("how", ["--force", None])
def test_a_run_that_was_killed_goes_on_after_its_last_epoch_when_it_is_queued_again(how, tmp_path, monkeypatch):
    checkpoints = tmp_path / "checkpoints"
    monkeypatch.setenv("PNEUMO_CHECKPOINTS", str(checkpoints))
    clone = clone_to(tmp_path / "pneumo")

    def queued() -> str:
        said = run(clone, "dvc", "exp", "run", "--queue", "train", *(f"-S{one}" for one in SETTINGS)).stdout
        run(clone, "sh", "-c", "dvc queue start > /dev/null 2>&1")  # whose workers would keep a pipe open
        return re.search(r"Queued experiment '(\S+?)'", said).group(1)

    def log(name: str) -> str:
        return run(clone, "dvc", "queue", "logs", name, check=False).stdout

    def wait(what) -> None:
        until = time.monotonic() + LONG
        while not what():
            assert time.monotonic() < until, log(name)
            time.sleep(0.5)

    name = queued()
    wait(lambda: list(checkpoints.rglob("last.ckpt")))
    run(clone, "dvc", "queue", "kill", *filter(None, [how]), name)
    wait(lambda: states(clone).get(name) != "Running")
    assert states(clone)[name] == "Failed"
    assert list(checkpoints.rglob("last.ckpt"))
    name = queued()
    wait(lambda: states(clone)[name] not in ("Queued", "Running"))
    assert states(clone)[name] == "Success"
    assert "resuming the interrupted run" in log(name)
