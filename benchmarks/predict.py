"""Images per second of the selected model by what runs it, and how long one prediction takes from nothing.

    python -m benchmarks.predict [--model models/best] [--images films/test] [--seconds 10] [--rounds 3] [--batch 8]

torch, torch.compile, ONNX Runtime in float32 and in int8 (static quantisation, calibrated on validation images), each
with one thread and with two, on packed pixels in memory; they take turns in each round, and the best round of each
counts. Also `pneumo predict` as a whole: one image, in a process that starts, and a folder, with reading and decoding.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import films
from pneumo.data import packed
from pneumo.export import network
from pneumo.models import runtime
from pneumo.serving import contract
from pneumo.serving.model import Session

PROCESSED = Path("data/processed")
CALIBRATED_ON = 64  # images


class Calibration:
    """Batches of pixels, as onnxruntime.quantization asks for them."""

    def __init__(self, pixels: NDArray[np.uint8], batch: int) -> None:
        self.batches = iter([{"pixels": pixels[at : at + batch]} for at in range(0, len(pixels), batch)])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        return next(self.batches, None)


def quantised(path: Path, to: Path, pixels: NDArray[np.uint8], batch: int) -> None:
    from onnxruntime.quantization import quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = to.with_suffix(".prepared.onnx")
    quant_pre_process(path, prepared, skip_symbolic_shape=True)
    quantize_static(prepared, to, Calibration(pixels, batch), per_channel=True)


def rate(way: Callable[[NDArray[np.uint8]], Any], batches: Iterator[NDArray[np.uint8]], seconds: float) -> float:
    way(next(batches))
    way(next(batches))
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        pixels = next(batches)
        way(pixels)
        done += len(pixels)
    return done / (time.perf_counter() - started)


def forever(pixels: NDArray[np.uint8], batch: int) -> Iterator[NDArray[np.uint8]]:
    while True:
        for at in range(0, len(pixels) - batch + 1, batch):
            yield pixels[at : at + batch]


def main() -> None:
    parser = argparse.ArgumentParser(description="Images per second of the selected model, and a cold prediction.")
    parser.add_argument("--model", type=Path, default=Path("models/best"), help="default: %(default)s")
    parser.add_argument("--images", type=Path, default=Path("films/test"), help=films.UNPACKED)
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement (default 10)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    runtime.keep_memory()
    about = contract.read(arguments.model)
    onnx = contract.onnx(arguments.model, about)
    val, test = (np.asarray(packed.read_split(PROCESSED, split).pixels(slice(None))) for split in ("val", "test"))
    of_torch = network.load(arguments.model)
    compiled = torch.compile(of_torch)

    def by(module: Any) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
        def way(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            with torch.inference_mode():
                found: NDArray[np.float32] = module(torch.from_numpy(pixels)).numpy()
            return found

        return way

    print(f"{about.name}, {about.image_size} px packed, batch {arguments.batch}; best of {arguments.rounds} rounds")
    with tempfile.TemporaryDirectory() as folder:
        int8 = Path(folder, "int8.onnx")
        quantised(onnx, int8, val[:CALIBRATED_ON], arguments.batch)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            sessions = [Session(path, threads=threads) for path in (onnx, int8)]
            ways = {
                "torch": by(of_torch),
                "torch.compile": by(compiled),
                "ONNX Runtime": sessions[0].logits,
                "ONNX Runtime, int8": sessions[1].logits,
            }
            best = dict.fromkeys(ways, 0.0)
            for _ in range(arguments.rounds):
                for name, way in ways.items():
                    best[name] = max(best[name], rate(way, forever(test, arguments.batch), arguments.seconds))
            for name, found in best.items():
                print(f"{threads} threads  {name:<20} {found:8.1f} images/s  {found / best['torch']:.2f} of torch")
        reference = by(of_torch)(test[:64])
        for name, session in zip(("float32", "int8"), sessions, strict=True):
            change = [
                1 / (1 + np.exp(-logits / about.temperature)) for logits in (session.logits(test[:64]), reference)
            ]
            print(f"largest difference of a probability to torch's, {name}: {np.abs(change[0] - change[1]).max():.2g}")
    files = films.below(arguments.images)
    cold = min(seconds(arguments.model, [files[0]]) for _ in range(5))
    print(f"pneumo predict, one image, from nothing: {cold:.2f} s")
    whole = min(seconds(arguments.model, [arguments.images]) for _ in range(2))
    print(
        f"pneumo predict, {len(files)} images: {whole:.1f} s, {len(files) / (whole - cold):.1f} images/s once it runs"
    )


def seconds(model: Path, paths: list[Path]) -> float:
    command = [sys.executable, "-m", "pneumo.cli", "predict", "--model", str(model), *map(str, paths)]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
