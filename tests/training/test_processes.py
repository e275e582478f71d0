"""Who starts the processes of a training, and what is refused before anything waits for anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import TRAINING, changed

from pneumo.errors import TrainingError
from pneumo.training import checkpoints, processes

ROOT = Path(__file__).parents[2]
TORCHRUN = {"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "LOCAL_RANK": "0"}
JOB = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "a"}


def torchrun(world: int, local: int) -> dict[str, str]:
    return TORCHRUN | {"WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(local)}


def step(nodes: int, per_node: str, tasks: int) -> dict[str, str]:
    named = {"NUM_TASKS": tasks, "NUM_NODES": nodes, "TASKS_PER_NODE": per_node, "NODELIST": "a[3-9]"}
    return JOB | {f"SLURM_STEP_{name}": str(value) for name, value in named.items()}


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("SLURM_", "TORCHELASTIC", "PNEUMO_")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("given", "nodes", "devices", "expected"),
    [
        ({}, 1, 1, "LightningEnvironment"),
        ({}, 1, 2, "LightningEnvironment"),
        (JOB, 1, 2, "LightningEnvironment"),  # of four tasks, none of which srun started
        (step(1, "1", 1), 1, 2, "LightningEnvironment"),  # a shell that srun opened
        (step(2, "1(x2)", 2), 2, 1, "Step"),
        (step(1, "2", 2), 1, 2, "Step"),
        (torchrun(4, 2), 2, 2, "TorchElasticEnvironment"),
    ],
)
def test_processes_that_fit_find_each_other(monkeypatch, given, nodes, devices, expected):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    environment = processes.environment(changed(TRAINING, nodes=nodes, devices=devices))
    assert type(environment).__name__ == expected
    if expected == "Step":
        monkeypatch.delenv("MASTER_ADDR", raising=False)
        assert (environment.world_size(), environment.main_address) == (2, "a3")
        os.environ.pop("MASTER_ADDR")


@pytest.mark.parametrize(
    ("given", "nodes", "devices", "says"),
    [
        ({}, 2, 4, "PNEUMO_LAUNCHER='srun --nodes=2 --ntasks-per-node=4 --kill-on-bad-exit' in an allocation"),
        (JOB, 2, 1, "train.nodes is 2, and nothing starts processes on the other nodes"),
        (step(2, "1(x2)", 2), 1, 2, "srun started processes on 2 nodes, 1 on each; expected train.nodes=1 and"),
        (step(2, "2,1", 3), 2, 2, "srun started processes on 2 nodes, unequal numbers on each"),
        (step(1, "8", 8), 1, 4, "1 node, 8 on each; expected train.nodes=1 and train.devices=4"),
        (torchrun(4, 4), 2, 2, "torchrun started processes on 1 node, 4 on each; expected train.nodes=2"),
    ],
)
def test_processes_that_do_not_fit_are_refused(monkeypatch, given, nodes, devices, says):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError) as raised:
        processes.environment(changed(TRAINING, nodes=nodes, devices=devices))
    assert says in str(raised.value)


WORDS = "import sys; from pneumo.training import processes; processes.launch('{}', []); print('it went on')"


def launched(launcher: str, module: str = "this") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PNEUMO_LAUNCHER": launcher, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", WORDS.format(module)], env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    ("launcher", "times"),
    [
        ("env A=1", 1),
        (f"{sys.executable} -m torch.distributed.run --no-python --standalone --nproc-per-node=2", 2),
    ],
)
def test_a_launcher_starts_the_stage_in_place_of_this_process(launcher, times):
    done = launched(launcher)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The Zen of Python") == times
    assert "it went on" not in done.stdout


def test_its_exit_status_is_that_of_the_stage():
    assert launched("sh -c 'exit 7'").returncode == 7


def test_a_launcher_that_does_not_exist_is_named():
    assert "PNEUMO_LAUNCHER is 'srum -n 2'; there is no command 'srum' on the PATH" in launched("srum -n 2").stderr


def test_what_the_launcher_started_starts_no_other(monkeypatch):
    monkeypatch.setenv("PNEUMO_LAUNCHER", "false")
    monkeypatch.setenv("PNEUMO_LAUNCHED", "1")
    processes.launch("this", [])


def test_two_processes_never_share_the_checkpoints_of_one_run(tmp_path):
    first = checkpoints.Claimed(tmp_path / "cnn/abc")
    with pytest.raises(TrainingError, match="another process is training the very same network"):
        checkpoints.Claimed(tmp_path / "cnn/abc")
    checkpoints.Claimed(tmp_path / "cnn/def").remove()
    first.remove()
    checkpoints.Claimed(tmp_path / "cnn/abc").remove()
    assert not list((tmp_path / "cnn").iterdir())
