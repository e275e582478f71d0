"""Seconds that a line-up takes with one worker and with two: python -m benchmarks.workers [-S key=value ...]

Clones HEAD into temporary folders with caches of their own, and there has DVC train the backbones of params.yaml one
after the other, with two threads and with one, and two workers of `dvc queue` train them with one thread each.
Afterwards the final `dvc exp run` must find all networks in the run cache.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
WAYS = ((1, 2), (1, 1), (2, 1))  # workers, threads of each


def dvc(clone: Path, *words: str) -> str:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DVC_")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PNEUMO_CHECKPOINTS": str(clone / ".checkpoints"),
    }
    done = subprocess.run(["dvc", *words], cwd=clone, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"dvc {' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def queued(clone: Path, workers: int, settings: list[str]) -> None:
    """Train the networks of params.yaml with `workers` of `dvc queue`, and wait for them."""
    params = yaml.safe_load((clone / "params.yaml").read_text())
    for name in params["model"]:
        dvc(clone, "exp", "run", "--queue", f"-Smodel={name}", *settings, "predict")
    dvc(clone, "queue", "start", "--jobs", str(workers))
    while any(state in dvc(clone, "queue", "status") for state in (" Queued", " Running")):
        time.sleep(2)
    if " Failed" in (status := dvc(clone, "queue", "status")):
        sys.exit(status)


def seconds(workers: int, threads: int, overrides: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "pneumo")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        settings = [f"-S{value}" for value in (*overrides, f"runtime.threads={threads}")]
        dvc(clone, "exp", "run", *settings, "download")
        began = time.perf_counter()
        if workers > 1:
            dvc(clone, "exp", "run", *settings, "preprocess")
            queued(clone, workers, [value for value in settings if not value.startswith("-Smodel=")])
        said = dvc(clone, "exp", "run", *settings)
        if workers > 1 and "Running stage 'train" in said:
            sys.exit("the last run trained again what the workers had trained")
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds that a line-up takes with one worker and with two.")
    parser.add_argument("-S", action="append", default=[], dest="overrides", metavar="KEY=VALUE", help="as for dvc exp")
    overrides = parser.parse_args().overrides
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores", flush=True)
    for workers, threads in WAYS:
        print(f"workers {workers}, threads of each {threads}: {seconds(workers, threads, overrides):.0f} s", flush=True)


if __name__ == "__main__":
    main()
