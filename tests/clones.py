"""Clones of this project as it stands in the working tree, and experiments in them with smaller numbers."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
IMAGES = (
    "{train:{normal:24,bacterial:16,viral:16},val:{normal:2,bacterial:2,viral:2},test:{normal:8,bacterial:6,viral:6}}"
)
SMALL = [
    "data.phantom.size=96",
    f"data.phantom.images={IMAGES}",
    "preprocess.image_size=80",
    "split.val_fraction=0.3",
    "train.epochs=1",
    "train.seeds=1",
    "train.batch_size=8",
    "model.cnn.input_size=32",
    "model.cnn10.input_size=32",
]


def run(clone: Path, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run `command` in `clone` with this Python first on the path, as after `source .venv/bin/activate`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_"))}
    names = {f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=clone, env={**inherited, **names, "PATH": path}, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def clone_to(folder: Path, *, lock: bool = False) -> Path:
    """A clone of this project as it stands in the working tree, committed, with an empty DVC cache.

    Without `lock` its dvc.lock has no stage: DVC parses the whole file for each stage that runs, for seconds, and
    experiments with other numbers find nothing of theirs in it.
    """
    run(ROOT, "git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder))
    listed = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout
    run(folder, "git", "rm", "-rq", ".")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    if not lock:
        (folder / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "as in the working tree", "--allow-empty")
    return folder


def experiment(clone: Path, *overrides: str, target: str | None = None) -> str:
    names = re.findall(r"\w+", " ".join(override for override in overrides if not override.startswith("~")))
    given = [one.partition("=")[0] for one in overrides]
    settings = [one for one in SMALL if one.partition("=")[0] not in given]
    settings = [one for one in settings if not one.startswith("model.") or one.split(".")[1] in names]
    targets = [target] if target else []
    return run(clone, "dvc", "exp", "run", *targets, *(f"-S{one}" for one in (*overrides, *settings))).stdout


def ran(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]
