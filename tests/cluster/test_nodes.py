"""One network on two nodes of a real SLURM, started by a DVC stage, against the same on one."""

import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from clones import clone_to, experiment, run
from safetensors.numpy import load_file

pytestmark = pytest.mark.slow

# Without batch normalisation, whose statistics are of each process's own share, and without dropout and augmentation,
# whose noise is.
BODY = {"architecture": "vgg11.tv_in1k", "input_size": 32, "dropout": 0.0, "optimizer": "sgd", "lr": 0.02, "pool": 1}
OFF = {"rotate": 0.0, "area": "[1.0,1.0]", "aspect": 1.0, "flip": 0.0, "brightness": 0.0, "contrast": 0.0, "gamma": 1.0}
SETTINGS = [
    "model=vgg16",
    *(f"model.vgg16.{name}={value}" for name, value in BODY.items()),
    *(f"augment.{name}={value}" for name, value in {**OFF, "blur": 0.0, "noise": 0.0}.items()),
    "train.monitor=loss",
    "runtime.threads=1",
]
WEIGHTS = "models/trained/vgg16/model.safetensors"
SRUN = "srun --nodes=2 --ntasks-per-node=1 --kill-on-bad-exit"
TRAIN = "dvc repro --single-item train@vgg16"
LONG = 600  # seconds after which something hangs


def submit(clone: Path, command: str, *options: str, launcher: str = SRUN) -> str:
    """The number of a job that runs `command`."""
    log(clone).unlink(missing_ok=True)
    exports = f"ALL,PNEUMO_LAUNCHER={launcher},MASTER_ADDR=127.0.0.1,GLOO_SOCKET_IFNAME=lo"  # node1 has no address
    options = (
        "--nodes=2",
        "--ntasks-per-node=1",
        "--cpus-per-task=1",
        f"--output={log(clone)}",
        "--open-mode=append",
        f"--export={exports}",
        *options,
    )
    return run(clone, "sbatch", "--parsable", *options, f"--wrap={command}").stdout.strip()


def log(clone: Path) -> Path:
    return clone.parent / "job.log"


def printed(clone: Path) -> str:
    return log(clone).read_text() if log(clone).is_file() else ""


def wait(clone: Path, what) -> None:
    until = time.monotonic() + LONG
    while not what():
        assert time.monotonic() < until, printed(clone)
        time.sleep(0.2)


def state(clone: Path, job: str) -> str:
    return run(clone, "scontrol", "show", "job", job).stdout.partition("JobState=")[2].split()[0]


def ended(clone: Path, job: str) -> tuple[str, str]:
    """The state in which it ended, and what it printed."""
    wait(clone, lambda: state(clone, job) not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED"))
    return state(clone, job), printed(clone)


def settings(clone: Path, nodes: int, batch_size: int, epochs: int = 2) -> None:
    varied = (f"train.nodes={nodes}", f"train.batch_size={batch_size}", f"train.epochs={epochs}")
    experiment(clone, *SETTINGS, *varied, target="preprocess")


@pytest.fixture(scope="module")
def clone(tmp_path_factory, cluster) -> Path:
    return clone_to(tmp_path_factory.mktemp("nodes") / "pneumo")


def test_two_nodes_learn_what_one_learns_with_the_same_global_batch(clone):
    """Within 1e-4 of the weights' scale, as on two devices: only the order of sums differs."""
    settings(clone, nodes=1, batch_size=16)
    run(clone, "sh", "-c", TRAIN)
    alone = load_file(clone / WEIGHTS)
    settings(clone, nodes=2, batch_size=8)
    end, said = ended(clone, submit(clone, TRAIN))
    assert end == "COMPLETED", said
    together = load_file(clone / WEIGHTS)
    assert any((together[key] != alone[key]).any() for key in alone), "it was trained anew"
    for key in alone:
        scale = max(1.0, float(np.abs(alone[key]).max()))
        np.testing.assert_allclose(together[key], alone[key], atol=1e-4 * scale, err_msg=key)
    assert said.count("epoch 1/2") == 1, "one process speaks"
    lock = yaml.safe_load((clone / "dvc.lock").read_text())["stages"]["train@vgg16"]
    assert lock["cmd"] == "python -m stages.train vgg16", "how it was started is not part of what it is"


def test_two_nodes_that_are_requeued_in_mid_epoch_go_on_with_the_same_bytes(clone):
    settings(clone, nodes=2, batch_size=8, epochs=20)
    end, said = ended(clone, submit(clone, TRAIN))
    assert end == "COMPLETED", said
    whole = (clone / WEIGHTS).read_bytes()
    job = submit(clone, f"rm -f .dvc/tmp/rwlock; {TRAIN} --force", "--requeue")
    wait(clone, lambda: "epoch 2/20" in printed(clone))
    run(clone, "scontrol", "requeue", job)
    wait(clone, lambda: state(clone, job) == "PENDING")
    run(clone, "scontrol", "update", f"job={job}", "starttime=now")
    end, said = ended(clone, job)
    assert end == "COMPLETED", said
    assert said.count("resuming the interrupted run") == 1, said
    assert (clone / WEIGHTS).read_bytes() == whole


@pytest.mark.parametrize(
    ("nodes", "launcher", "says"),
    [
        (1, SRUN, "srun started processes on 2 nodes, 1 on each; expected train.nodes=1 and train.devices=1"),
        (
            2,
            "srun --nodes=1 --ntasks-per-node=2",
            "srun started processes on 1 node, 2 on each; expected train.nodes=2",
        ),
        (
            2,
            "",
            "train.nodes is 2, and nothing starts processes on the other nodes: set PNEUMO_LAUNCHER='srun --nodes=2 ",
        ),
        (2, "srum --nodes=2", "PNEUMO_LAUNCHER is 'srum --nodes=2'; there is no command 'srum' on the PATH"),
    ],
)
def test_processes_that_do_not_fit_are_an_error_instead_of_a_hang(clone, nodes, launcher, says):
    settings(clone, nodes=nodes, batch_size=4)
    end, said = ended(clone, submit(clone, TRAIN, "--overcommit", "--time=5", launcher=launcher))
    assert end == "FAILED", said
    assert says in said
    assert "Traceback" not in said


def test_tasks_that_no_srun_starts_are_not_waited_for(clone):
    """Lightning by itself would take a job of two tasks for two processes."""
    settings(clone, nodes=1, batch_size=4)
    end, said = ended(clone, submit(clone, TRAIN, "--time=5", launcher=""))
    assert end == "COMPLETED", said
