"""The files of cluster/ on a real SLURM of two nodes: a line-up of two small networks."""

import os
import re
import time
from pathlib import Path

import pytest
import slurm
import yaml
from clones import ROOT, clone_to, experiment, ran, run

pytestmark = pytest.mark.slow

EPOCHS = 24  # so many that there is time to interrupt them
SETTINGS = ("model=[cnn,cnn10]", f"train.epochs={EPOCHS}", "train.patience=99")
LONG = 600  # seconds after which something hangs


def commit(clone: Path, *settings: str) -> None:
    """As the page says: what is to be trained is composed and committed, and nothing is trained."""
    experiment(clone, *settings, target="download")
    run(clone, "git", "commit", "-qam", "A line-up")


class LineUp:
    """The jobs that cluster/submit.sh submits in `clone`."""

    def __init__(self, clone: Path) -> None:
        said = run(clone, "cluster/submit.sh", "--cpus-per-task=2").stdout
        data, self.array, last, logs = re.fullmatch(
            r"jobs (\d+) \(data\), (\d+) \(networks\) and (\d+) \(results\); logs in (.+)\n", said
        ).groups()
        self.clone, self.logs = clone, Path(logs)
        self.jobs = f"{data},{self.array},{last}"

    def log(self, name: str) -> str:
        path = self.logs / f"{name}.log"
        return path.read_text() if path.is_file() else ""

    def wait(self, what) -> None:
        until = time.monotonic() + LONG
        while not what():
            assert time.monotonic() < until, {path.name: path.read_text()[-2000:] for path in self.logs.iterdir()}
            time.sleep(0.2)

    def wait_for_the_end(self) -> None:
        self.wait(lambda: not run(self.clone, "squeue", "--noheader", f"--jobs={self.jobs}").stdout)

    def start_again(self, task: int) -> None:
        """A requeued job waits for two minutes, unless it is told not to."""
        job = f"{self.array}_{task}"
        self.wait(lambda: run(self.clone, "squeue", "-h", "-r", "-o%T", f"-j{job}").stdout.strip() == "PENDING")
        run(self.clone, "scontrol", "update", f"job={job}", "starttime=now")


@pytest.fixture(scope="module")
def project(tmp_path_factory, cluster) -> Path:
    clone = clone_to(tmp_path_factory.mktemp("shared folder") / "pneumo")
    commit(clone, *SETTINGS)
    return clone


@pytest.fixture(scope="module")
def line_up(project) -> LineUp:
    """A line-up that ended: task 1 was requeued by its administrator and later lost its node; task 2's time was up."""
    line_up = LineUp(project)
    line_up.wait(lambda: f"epoch 2/{EPOCHS}" in line_up.log("train-1"))
    run(project, "scontrol", "requeue", f"{line_up.array}_1")
    line_up.wait(lambda: f"epoch 2/{EPOCHS}" in line_up.log("train-2"))
    run(project, "scancel", "--signal=USR1", "--batch", f"{line_up.array}_2")  # as `#SBATCH --signal` does
    for task in (1, 2):
        line_up.start_again(task)
    line_up.wait(lambda: f"epoch 8/{EPOCHS}" in line_up.log("train-1"))
    node = run(project, "squeue", "-h", "-r", "-o%N", f"-j{line_up.array}_1").stdout.strip()
    conf = Path(os.environ["SLURM_CONF"])
    slurm.lose(conf, node)
    line_up.start_again(1)  # on the other one
    line_up.wait_for_the_end()
    slurm.regain(conf, node)
    return line_up


def test_the_lock_and_all_results_are_those_of_one_machine(project, line_up, tmp_path):
    """Two networks in parallel, both interrupted, and the last job trained none."""
    assert ran(line_up.log("assemble"))[-1] == "report"
    assert not [stage for stage in ran(line_up.log("assemble")) if stage.startswith(("train", "predict", "audit"))]
    together, alone = line_up.logs.parent / "clones/whole", tmp_path / "alone"
    run(tmp_path, "git", "clone", "-q", str(project), str(alone))
    assert "train@cnn10" in ran(run(alone, "dvc", "repro").stdout)
    locks = [yaml.safe_load((clone / "dvc.lock").read_text()) for clone in (alone, together)]
    assert locks[0] == locks[1]
    changed = [run(clone, "git", "status", "--porcelain", "-uall").stdout.splitlines() for clone in (alone, together)]
    assert changed[0] == changed[1]
    written = [line[3:] for line in changed[0] if not line.startswith(" D")]
    assert {"dvc.lock", "metrics/best.json", "scores/test/cnn10.csv"} < set(written)
    for name in written:
        assert (alone / name).read_bytes() == (together / name).read_bytes(), name


@pytest.mark.parametrize(("task", "interruptions"), [(1, 2), (2, 1)])
def test_a_task_that_was_interrupted_in_mid_epoch_goes_on_after_the_last_one(line_up, task, interruptions):
    said = line_up.log(f"train-{task}")
    epochs = [int(number) for number in re.findall(rf"^epoch (\d+)/{EPOCHS}", said, re.MULTILINE)]
    assert sorted(set(epochs)) == list(range(1, EPOCHS + 1))
    assert len(epochs) <= EPOCHS + interruptions, "twice at most the one that was said and not yet written"
    assert said.count("resuming the interrupted run") == interruptions
    assert "The `srun` command" not in said, "Lightning's advice, where each task is one process"
    assert not list((line_up.logs.parent.parent / "checkpoints").glob("*/*")), "a finished run leaves nothing"


def test_the_results_come_into_the_project_as_the_page_says(project, line_up):
    page = (ROOT / "docs/cluster.md").read_text()
    first = page.index("    WHOLE=../pneumo-runs/")
    commands = page[first : page.index("\n\n", first)].replace("0123456789ab", line_up.logs.parent.name)
    run(project, "sh", "-ec", commands)
    assert "up to date" in run(project, "dvc", "status").stdout


def test_a_task_that_fails_is_named_and_a_second_submission_trains_it_alone(project, line_up):
    commit(project, *SETTINGS, "model.cnn10.batch_size=64")  # more than there are images
    line_up = LineUp(project)
    line_up.wait_for_the_end()
    said = line_up.log("assemble")
    assert "error: task 2 did not finish cnn10 (" in said
    assert "training images do not fill one batch of 64" in said
    assert "1 of 2 networks are missing" in said
    assert ran(line_up.log("train-1")) == [], "of the network that did not change nothing is computed again"


def test_uncommitted_changes_are_refused(project):
    (project / "params.yaml").write_text((project / "params.yaml").read_text() + "\n")
    done = run(project, "cluster/submit.sh", check=False)
    run(project, "git", "checkout", "-q", "params.yaml")
    assert done.returncode == 1
    assert done.stderr == "error: commit your changes first: the jobs work on clones of HEAD\n"
