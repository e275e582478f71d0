"""What thousands of raw images cost DVC and a remote: python -m benchmarks.sharing [COUNT ...] [--remote folder|s3]

In a temporary clone of HEAD with the real stages download and preprocess, for each COUNT of tiny JPEGs in a zip: run
both, run them again with nothing to do, `dvc status`, push, pull elsewhere, and push once more after one patient was
relabelled. Prints seconds and, in brackets, those of the processor, which other work on the machine does not stretch
much (without the S3 server's, which is moto's on this machine), and what the remote holds.
"""

import argparse
import io
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import boto3  # type: ignore[import-untyped]
import numpy as np
from PIL import Image

TOP = Path(__file__).parent.parent
COUNTS = (500, 6_000, 50_000)
ROUNDS = 3  # of what changes nothing: the fastest counts
TEST = 10  # every tenth patient is a test patient
BUCKET = "benchmark"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
COLUMNS = (
    "images", "remote", "download", "preprocess", "nothing to do", "dvc status", "push", "objects", "MB",
    "pull", "nothing to do there", "one patient relabelled: push", "objects", "MB",
)  # fmt: skip
Held = Callable[[], tuple[int, float]]  # objects in a remote, and megabytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", type=int, nargs="*", default=COUNTS, metavar="COUNT")
    parser.add_argument("--unpacked", action="store_true", help="the source is a folder in place of a zip")
    parser.add_argument("--remote", action="append", choices=tuple(REMOTES), help="default: both")
    arguments = parser.parse_args()
    os.environ.update(CREDENTIALS, NO_PROXY="127.0.0.1")
    _print_row(COLUMNS)
    _print_row(["---:"] * len(COLUMNS))
    for count in arguments.counts:
        for remote in arguments.remote or REMOTES:
            with tempfile.TemporaryDirectory() as name, REMOTES[remote](Path(name)) as (settings, held):
                films = Path(name, "films" if arguments.unpacked else "films.zip")
                _print_row([f"{count:,}", remote, *measured(films, count, settings, held)])


def measured(films: Path, count: int, settings: Sequence[Sequence[str]], held: Held) -> list[str]:
    """The other COLUMNS. films: the zip or folder to write."""
    top = films.parent
    clone, elsewhere = top / "pneumo", top / "elsewhere"
    _write_films(films, count)
    _run(top, "git", "clone", "-q", str(TOP), str(clone))
    (clone / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    for setting in settings:
        _run(clone, "dvc", "remote", *setting)
    given = ("data=archive", f"data.path={films}", "data.expected=null", "preprocess.image_size=32")
    cells = [_timed(clone, "dvc", "exp", "run", "download", *(f"-S{each}" for each in given))]
    cells.append(_timed(clone, "dvc", "repro", "preprocess"))
    _run(clone, "git", "add", "-A")
    _run(clone, "git", "commit", "-qm", "packed")
    nothing, status = ("dvc", "repro", "preprocess"), ("dvc", "status", "download", "preprocess")
    cells += [_timed(clone, *nothing, rounds=ROUNDS), _timed(clone, *status, rounds=ROUNDS)]
    cells.append(_timed(clone, "dvc", "push", "download", "preprocess"))
    objects, megabytes = held()
    cells += [f"{objects:,}", f"{megabytes:.1f}"]
    _run(top, "git", "clone", "-q", str(clone), str(elsewhere))
    cells.append(_timed(elsewhere, "dvc", "pull", "download", "preprocess"))
    cells.append(_timed(elsewhere, *nothing))
    _write_films(films, count, relabelled=True)
    _run(clone, "dvc", "repro", "download")
    cells.append(_timed(clone, "dvc", "push", "download"))
    now, then = held(), (objects, megabytes)
    return [*cells, f"{now[0] - then[0]:,}", f"{now[1] - then[1]:.1f}"]


def _write_films(path: Path, count: int, *, relabelled: bool = False) -> None:
    """Two noisy JPEGs a patient, half of the patients with pneumonia; `relabelled`: so is the first."""
    zipped = path.with_suffix(".zip")
    with zipfile.ZipFile(zipped, "w") as file:
        for place in range(count):
            patient = place // 2
            part = "test" if patient % TEST == 0 else "train"
            name = f"PNEUMONIA/person{patient}_virus_{place}.jpeg"
            if patient % 4 < 2 and not (relabelled and patient == 1):
                name = f"NORMAL/IM-{patient:04}-{place % 2:04}.jpeg"
            encoded, grey = io.BytesIO(), np.random.default_rng(place).integers(0, 256, (48, 48), dtype=np.uint8)
            Image.fromarray(grey).save(encoded, "JPEG")
            file.writestr(f"{part}/{name}", encoded.getvalue())
    if path != zipped:
        shutil.rmtree(path, ignore_errors=True)
        with zipfile.ZipFile(zipped) as file:
            file.extractall(path)


@contextmanager
def _folder(top: Path) -> Iterator[tuple[list[list[str]], Held]]:
    path = top / "remote"

    def held() -> tuple[int, float]:
        sizes = [file.stat().st_size for file in path.rglob("*") if file.is_file()]
        return len(sizes), sum(sizes) / 1e6

    yield [["add", "-d", "storage", str(path)]], held


@contextmanager
def _s3(top: Path) -> Iterator[tuple[list[list[str]], Held]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-c", "import sys; from moto.server import main; main(sys.argv[1:])", "-p", str(port)]
    with (top / "moto.log").open("w") as log:
        server = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        client = boto3.client("s3", endpoint_url=address)
        for _ in range(60):
            try:
                client.create_bucket(Bucket=BUCKET)
                break
            except Exception:
                time.sleep(1)

        def held() -> tuple[int, float]:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
            sizes = [each["Size"] for page in pages for each in page.get("Contents", ())]
            return len(sizes), sum(sizes) / 1e6

        yield [["add", "-d", "storage", f"s3://{BUCKET}"], ["modify", "storage", "endpointurl", address]], held
    finally:
        server.terminate()
        server.wait()


REMOTES = {"folder": _folder, "s3": _s3}


def _timed(folder: Path, *command: str, rounds: int = 1) -> str:
    """Seconds of the fastest round, and of the processor in it."""
    times = []
    for _ in range(rounds):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        _run(folder, *command)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        times.append((time.perf_counter() - began, processor))
    return "{:.1f} ({:.1f})".format(*min(times))


def _run(folder: Path, *command: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    names = {f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **names, "PATH": path, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout[-3000:]}{done.stderr[-3000:]}")


def _print_row(cells: Sequence[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
