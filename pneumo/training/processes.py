"""The processes that train one network: who starts them, and whether they are as many as the parameters say.

They come from Lightning, which starts them on one machine, or from outside, by srun or torchrun, on several. What SLURM
gave the job says nothing about that: a job of eight tasks that calls no srun is one process. Left to itself, Lightning
takes it for eight and waits for the others for ever.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pneumo.errors import TrainingError

if TYPE_CHECKING:
    from lightning.fabric.plugins.environments import ClusterEnvironment

    from pneumo.params import Training

LAUNCHER, LAUNCHED = "PNEUMO_LAUNCHER", "PNEUMO_LAUNCHED"
REMEDY = f"{LAUNCHER}='srun --nodes={{nodes}} --ntasks-per-node={{devices}} --kill-on-bad-exit'"


def launch(module: str, arguments: Sequence[str]) -> None:
    """Where PNEUMO_LAUNCHER names a command, become it, and have it start `python -m module arguments` in each process.

    Raises TrainingError if there is no such command.
    """
    words = shlex.split(os.environ.get(LAUNCHER, ""))
    if words and LAUNCHED not in os.environ:
        if not shutil.which(words[0]):
            raise TrainingError(f"{LAUNCHER} is {shlex.join(words)!r}; there is no command {words[0]!r} on the PATH")
        os.environ[LAUNCHED] = "1"  # those that it starts start no others; LAUNCHER cannot be taken from srun's tasks
        sys.stdout.flush()
        os.execvp(words[0], [*words, sys.executable, "-m", module, *arguments])  # signals reach it as they would this


def environment(training: "Training") -> "ClusterEnvironment":
    """How the processes find each other. Raises TrainingError where they are not train.nodes times train.devices."""
    from lightning.fabric.plugins import environments

    asked = (training.nodes, training.devices)
    if environments.TorchElasticEnvironment.detect():
        per_node = os.environ["LOCAL_WORLD_SIZE"]
        _compare("torchrun", int(os.environ["WORLD_SIZE"]) / int(per_node), per_node, asked)
        return environments.TorchElasticEnvironment()
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:  # a step of one is a shell, or a batch script's
        per_node = os.environ["SLURM_STEP_TASKS_PER_NODE"].partition("(")[0]
        uneven = "," in os.environ["SLURM_STEP_TASKS_PER_NODE"]
        _compare("srun", int(os.environ["SLURM_STEP_NUM_NODES"]), "unequal numbers" if uneven else per_node, asked)
        return _step()
    if training.nodes > 1:
        remedy = REMEDY.format(nodes=training.nodes, devices=training.devices)
        raise TrainingError(
            f"train.nodes is {training.nodes}, and nothing starts processes on the other nodes: set {remedy} in an "
            "allocation of as many nodes, or train.nodes=1"
        )
    return environments.LightningEnvironment()


def _compare(launcher: str, nodes: float, per_node: str, asked: tuple[int, int]) -> None:
    if (nodes, per_node) != (asked[0], str(asked[1])):
        there = f"{nodes:g} node{'s' * (nodes != 1)}, {per_node} on each"
        raise TrainingError(
            f"{launcher} started processes on {there}; expected train.nodes={asked[0]} and train.devices={asked[1]}: "
            "change either"
        )


def _step() -> "ClusterEnvironment":
    from lightning.fabric.plugins.environments import SLURMEnvironment

    class Step(SLURMEnvironment):
        """Processes that srun started, as the step counts them: the job may have more tasks and nodes."""

        @property
        def main_address(self) -> str:
            first = self.resolve_root_node_address(os.environ["SLURM_STEP_NODELIST"])
            return os.environ.setdefault("MASTER_ADDR", first)

        def world_size(self) -> int:
            return int(os.environ["SLURM_STEP_NUM_TASKS"])

        def validate_settings(self, num_devices: int, num_nodes: int) -> None:
            """`environment` did."""

    os.environ.setdefault("SLURM_NTASKS_PER_NODE", "")  # Lightning insists that --ntasks-per-node was given
    return Step(auto_requeue=False)  # the job's file does it
