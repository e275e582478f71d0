"""What it brings that a process keeps its memory (pneumo.models.runtime.keep_memory): `python -m benchmarks.malloc`.

    python -m benchmarks.malloc [--model efficientnet_lite0] [--train-size 160] [--size 224] [--rounds 3]

Seconds of a training step of 32 images and of scoring 64, two threads on the CPU, each round in a process of its own,
with glibc as it is and with memory kept, in turns; the best step of all rounds. Also how many
pages the kernel had to clear.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

TOP = Path(__file__).parent.parent
STEPS = 6


def measure(arguments: argparse.Namespace) -> None:
    """In a process of its own: prints seconds of the best training step and scoring, and pages in all."""
    import torch

    from pneumo import params
    from pneumo.models import backbones, runtime
    from pneumo.verification import gate

    if arguments.one == "kept":
        runtime.keep_memory()
    torch.set_num_threads(2)
    backbone = params.check(gate.compose(TOP, f"model={arguments.model}"), "conf/").model[arguments.model]
    network, _ = backbones.create(
        backbone.architecture, input_size=arguments.train_size, dropout=0.2, weights="none", seed=0
    )
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4, fused=True)
    batch = torch.rand(32, 1, arguments.train_size, arguments.train_size)
    scored = torch.rand(64, 1, arguments.size, arguments.size)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(network(batch), torch.zeros(32)).backward()
        optimizer.step()

    def score() -> None:
        with torch.inference_mode():
            network(scored)

    train = best(step)
    network.eval()
    infer = best(score)
    print(json.dumps([train, infer, resource.getrusage(resource.RUSAGE_SELF).ru_minflt]))


def best(way: Callable[[], None]) -> float:
    taken = []
    for _ in range(STEPS):
        started = time.perf_counter()
        way()
        taken.append(time.perf_counter() - started)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds with glibc as it is and with memory kept.")
    parser.add_argument("--model", default="efficientnet_lite0", help="of conf/model/ (default efficientnet_lite0)")
    parser.add_argument("--train-size", type=int, default=160, help="pixels (default 160)")
    parser.add_argument("--size", type=int, default=224, help="of what is scored (default 224)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=("plain", "kept"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure(arguments)
        return
    found: dict[str, list[list[float]]] = {"plain": [], "kept": []}
    for _ in range(arguments.rounds):
        for way, rows in found.items():
            command = [sys.executable, "-m", "benchmarks.malloc", *sys.argv[1:], "--one", way]
            rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    plain, kept = ([min(column) for column in zip(*rows, strict=True)] for rows in found.values())
    for at, what in enumerate((f"training step of 32, {arguments.train_size} px", f"scoring 64, {arguments.size} px")):
        print(f"{arguments.model}, {what}: plain {plain[at]:.2f} s, kept {kept[at]:.2f} s, "
              f"{plain[at] / kept[at]:.2f} times")  # fmt: skip
    print(f"pages cleared: {plain[2]:,.0f} and {kept[2]:,.0f}")


if __name__ == "__main__":
    main()
