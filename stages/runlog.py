"""reports/run.js: when, where and from which commit each stage last ran, and how long it took.

What differs from run to run is no output of the graph, so that the same inputs give the same dvc.lock. The report page
shows the file where it lies beside it; it is a script because a page that is opened from a disk may read no other file.
"""

import json
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

PATH = Path("reports/run.js")
CODE = ("pneumo", "stages", "dvc.yaml", "params.yaml")
PREFIX = "window.pneumoRun = "


def add(path: Path, stage: str, seconds: float) -> None:
    """Note that `stage` ran. A file that cannot be read is begun anew."""
    entry = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {seconds:.0f} s, commit {_commit()}, {platform.node()}, "
    entry += f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{PREFIX}{json.dumps(read_log(path) | {stage: entry}, indent=2)};\n", encoding="utf-8")


def read_log(path: Path) -> dict[str, str]:
    """stage -> what is noted of it; empty where there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8").removeprefix(PREFIX).removesuffix(";\n"))
    except (FileNotFoundError, ValueError):
        return {}


def _commit() -> str:
    """The commit, with a + where code or parameters differ from it; unknown outside git."""
    try:
        commit, changed = (
            subprocess.run(["git", *command], capture_output=True, text=True, check=True).stdout.strip()
            for command in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--", *CODE])
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "unknown"
    return commit + "+" * bool(changed)
