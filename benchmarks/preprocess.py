"""Time `images.read_image` against plain Pillow on a folder of X-rays.

    python benchmarks/preprocess.py FOLDER [--size 224] [--repeats 5]

Ours reads, checks, hashes, decodes and resizes; the plain way decodes at full size and resizes. The three ways take
turns on each file, and the fastest of the repeats counts. Differences from the plain way are in grey levels, 0 to 255.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, features

from pneumo.errors import ImageRejected
from pneumo.preprocessing import images

HEADER = f"{'pixels':>13} {'ours ms':>9} {'plain ms':>9} {'ratio':>6} {'default ms':>11} {'ratio':>6}"


def main() -> None:
    arguments = _arguments()
    size, repeats = arguments.size, arguments.repeats
    files = []
    for path in sorted(path for path in arguments.folder.rglob("*") if path.is_file()):
        try:
            images.read_image(path, size)  # also brings the file into the system's cache, for all three ways
            files.append(path)
        except ImageRejected as reason:
            print(f"left out: {path.name}: {reason}")
    if not files:
        raise SystemExit(f"{arguments.folder}: no usable JPEG or PNG image in this folder")

    print(f"{len(files)} images to {size} x {size}, one core, best of {repeats}; {_versions()}")
    print("plain: Image.open(path).convert('L').resize((S, S), LANCZOS); default: the same with resize((S, S))")
    width = max(len("total"), *(len(path.name) for path in files))
    print(f"\n{'file':{width}} {HEADER} {'mean |diff|':>12}")
    times, differences = [], []
    for path in files:
        best, difference, shape = _compare(path, size, repeats)
        times.append(best)
        differences.append(difference)
        print(f"{path.name:{width}} {shape:>13} {_row(best)} {difference:12.2f}")
    print(f"{'total':{width}} {'':>13} {_row(np.sum(times, axis=0))} {np.mean(differences):12.2f}")
    print(f"largest mean |diff| of one image: {max(differences):.2f}")
    print(_throughput(files, size, repeats))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time pneumo's reading of X-rays against plain Pillow.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="JPEG or PNG images, also in subfolders")
    parser.add_argument("--size", type=int, default=224, help="side of the result in pixels (default 224)")
    parser.add_argument("--repeats", type=int, default=5, help="timings of each file (default 5)")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder}: expected a folder of X-rays, found no such folder")
    if arguments.size < 1 or arguments.repeats < 1:
        parser.error("--size and --repeats must be at least 1")
    return arguments


def _plain(path: Path, size: int, filter_: Image.Resampling | None) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L").resize((size, size), filter_))


def _compare(path: Path, size: int, repeats: int) -> tuple[np.ndarray, float, str]:
    """Fewest seconds of ours, plain and default; mean absolute difference of ours from plain; size as text."""
    ways: list[Callable[[], object]] = [
        partial(images.read_image, path, size),
        partial(_plain, path, size, Image.Resampling.LANCZOS),
        partial(_plain, path, size, None),
    ]
    times = np.array([[_seconds(way) for way in ways] for _ in range(repeats)])
    ours = images.read_image(path, size)
    difference = np.abs(ours.pixels.astype(float) - _plain(path, size, Image.Resampling.LANCZOS)).mean()
    return times.min(axis=0), float(difference), f"{ours.width} x {ours.height}"


def _seconds(way: Callable[[], object]) -> float:
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def _row(seconds: np.ndarray) -> str:
    ours, plain, default = seconds * 1000
    return f"{ours:9.1f} {plain:9.1f} {plain / ours:6.2f} {default:11.1f} {default / ours:6.2f}"


def _throughput(files: list[Path], size: int, repeats: int) -> str:
    read = partial(images.read_image, size=size)
    with ThreadPoolExecutor() as pool:
        seconds = min(_seconds(lambda: list(pool.map(read, files))) for _ in range(repeats))
    return f"whole folder with threads on {os.cpu_count()} cores: {len(files) / seconds:.0f} images/s"


def _versions() -> str:
    turbo = features.version_feature("libjpeg_turbo") or "none"
    return (
        f"Python {platform.python_version()}, Pillow {PIL.__version__}, libjpeg-turbo {turbo}, numpy {np.__version__}"
    )


if __name__ == "__main__":
    main()
