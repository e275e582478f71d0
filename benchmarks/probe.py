"""What a second experiment with the head costs, once features are cached: `python -m benchmarks.probe ARCHIVE`.

Two linear probes on all training images with different regularisation, each as DVC runs the stage: a process of its
own, `train.epochs=0`. The first computes the features. ARCHIVE: a zip or folder as conf/data/archive.yaml takes it.
Random weights in a file stand in for published ones: the same computation on other numbers.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from safetensors.torch import save_file

from pneumo.models import backbones
from pneumo.verification import gate

TOP = Path(__file__).parent.parent


def stage(name: str, *arguments: str, folder: Path) -> float:
    """Seconds that it took."""
    started = time.perf_counter()
    command = [sys.executable, "-m", f"stages.{name}", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(TOP)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    lines = [line for line in done.stdout.splitlines() if line.startswith("linear probe: ")]
    print("\n".join(lines), flush=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds of a first and a second linear probe.")
    parser.add_argument("archive", type=Path, metavar="ARCHIVE", help="zip or folder")
    parser.add_argument("--model", default="resnet50", help="of conf/model/ (default resnet50)")
    parser.add_argument("--subset", default="null", help="about so many images (default all)")
    arguments = parser.parse_args()
    name = arguments.model
    overrides = [
        f"model={name}",
        "data=archive",
        f"data.path={arguments.archive.resolve()}",
        f"data.subset={arguments.subset}",
        "preprocess.image_size=224",
        f"model.{name}.weights=start.safetensors",
        "train.epochs=0",
    ]
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        seconds: list[float] = []
        for strength in (0.1, 0.01):
            chosen = gate.compose(TOP, *overrides, f"train.probe={strength}")
            (top / "params.yaml").write_text(yaml.safe_dump(chosen))
            if not seconds:
                start = backbones.create(
                    chosen["model"][name]["architecture"], input_size=224, dropout=0.0, weights="none", seed=0
                )[0]
                weights = {key: value.contiguous() for key, value in start.body.state_dict().items()}
                save_file(weights, top / "start.safetensors")
                stage("download", folder=top)
                stage("preprocess", folder=top)
            seconds.append(stage("train", name, folder=top))
    first, second = seconds
    print(f"{name}, whole stage: first {first:.1f} s, second {second:.1f} s, {first / second:.1f} times faster")


if __name__ == "__main__":
    main()
