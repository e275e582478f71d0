"""`dvc metrics diff` and `dvc params diff`, as DVC itself prints them, beside the review's own work."""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pneumo.review.snapshot import Snapshot

DIGITS = "6"  # as in metrics/


@dataclass(frozen=True)
class Running:
    """A DVC that is at work. `command`: what the reader can run for the same output."""

    command: str
    process: subprocess.Popen[str]

    def output(self) -> str:
        """What it prints, and what it warns of; where it cannot read a commit it warns and does not fail."""
        out, err = self.process.communicate()
        failed = f"failed with exit status {self.process.returncode}" if self.process.returncode else ""
        return "\n\n".join(part for part in (out.strip(), err.strip(), failed) if part)


def stop(running: Iterable[Running]) -> None:
    """End those that nobody waited for."""
    for one in running:
        if one.process.poll() is None:
            one.process.terminate()
            one.process.communicate()


def start(top: Path, base: Snapshot, head: Snapshot, form: str) -> list[Running]:
    """`form`: md or json. Both run at once, and while the caller goes on."""
    commits = [one.commit[:10] for one in (base, head) if one.commit]
    commands = [["metrics", "diff", f"--{form}", "--precision", DIGITS], ["params", "diff", f"--{form}"]]
    return [
        Running(
            " ".join(["dvc", *words, *commits]),
            subprocess.Popen(
                [sys.executable, "-m", "dvc", *words, *commits],
                cwd=top,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            ),
        )
        for words in commands
    ]
