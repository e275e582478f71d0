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
from itertools import pairwise
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


def seconds(workers: int, threads: int, overrides: list[str]) -> list[float]:
    """Of the networks and of the rest, with several workers; of all in one, with one."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "pneumo")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        settings = [f"-S{value}" for value in (*overrides, f"runtime.threads={threads}")]
        dvc(clone, "exp", "run", *settings, "download")
        times = [time.perf_counter()]
        if workers > 1:
            dvc(clone, "exp", "run", *settings, "preprocess")
            queued(clone, workers, [value for value in settings if not value.startswith("-Smodel=")])
            times.append(time.perf_counter())
        said = dvc(clone, "exp", "run", *settings)
        done = ("Running stage 'train", "Running stage 'predict")
        again = [line for line in said.splitlines() if line.startswith(done)]
        if workers > 1 and again:
            sys.exit(f"the last run did again what the workers had done: {again}")
        times.append(time.perf_counter())
        return [after - before for before, after in pairwise(times)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds that a line-up takes with one worker and with two.")
    parser.add_argument("-S", action="append", default=[], dest="overrides", metavar="KEY=VALUE", help="as for dvc exp")
    overrides = parser.parse_args().overrides
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores", flush=True)
    for workers, threads in WAYS:
        parts = seconds(workers, threads, overrides)
        print(f"workers {workers}, threads of each {threads}: {sum(parts):.0f} s "
              f"({' + '.join(f'{part:.0f}' for part in parts)})", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
