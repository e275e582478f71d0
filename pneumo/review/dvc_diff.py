"""`dvc metrics diff` and `dvc params diff`, as DVC prints them, run while the review does its own work."""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pneumo.review.snapshot import Snapshot

DIGITS = "6"  # as in metrics/


@dataclass(frozen=True)
class Running:
    """A `dvc` process. `command`: what the reader can run for the same output."""

    command: str
    process: subprocess.Popen[str]

    def output(self) -> str:
        """What it prints, and its warnings: where it cannot read a commit, DVC warns and does not fail."""
        out, err = self.process.communicate()
        failed = f"failed with exit status {self.process.returncode}" if self.process.returncode else ""
        return "\n\n".join(part for part in (out.strip(), err.strip(), failed) if part)


def stop(running: Iterable[Running]) -> None:
    """End those that nobody waited for."""
    for diff in running:
        if diff.process.poll() is None:
            diff.process.terminate()
            diff.process.communicate()


def start(top: Path, base: Snapshot, head: Snapshot, form: str) -> list[Running]:
    """`form`: md or json. Both run at once, and while the caller goes on."""
    commits = [snapshot.commit[:10] for snapshot in (base, head) if snapshot.commit]
    commands = [["metrics", "diff", f"--{form}", "--precision", DIGITS], ["params", "diff", f"--{form}"]]
    return [
        Running(
            " ".join(["dvc", *words, *commits]),
            subprocess.Popen(
                [sys.executable, "-P", "-m", "dvc", *words, *commits],  # -P: no dvc.py of the project is run
                cwd=top,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            ),
        )
        for words in commands
    ]
