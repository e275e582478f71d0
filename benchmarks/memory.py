"""Peak memory of each stage at N, 2N and 4N images.

    python -m benchmarks.memory [ARCHIVE] [--model cnn10] [--images N]

ARCHIVE: a zip or folder as conf/data/archive.yaml takes it, of which patient-grouped samples are used; without it
phantoms are drawn. Every stage runs as DVC runs it, in a process of its own; training takes one epoch. The peak is the
largest resident set that the system saw (ru_maxrss).
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from pneumo.verification import gate

TOP = Path(__file__).parent.parent
STAGES = (
    "download",
    "preprocess",
    "audit",
    "train",
    "predict",
    "calibrate",
    "score",
    "evaluate",
    "select_best",
    "export",
    "ablation",
    "explain",
    "report",
)
OF_A_MODEL = ("train", "predict", "calibrate", "evaluate")


def peaks(arguments: argparse.Namespace, times: int, folder: Path) -> dict[str, float]:
    """Stage -> MiB."""
    count = times * arguments.images
    overrides = [
        f"model={arguments.model}",
        "train.epochs=1",
        "train.seeds=[0]",
        "recipe=from_scratch",
        f"model.{arguments.model}.epochs=1",
    ]
    if arguments.archive:
        overrides += ["data=archive", f"data.path={arguments.archive.resolve()}", f"data.subset={count}"]
        overrides += ["preprocess.image_size=224", f"model.{arguments.model}.input_size=96"]
    else:
        parts = {"train": 0.6, "val": 0.1, "test": 0.3}
        images = {
            part: dict.fromkeys(("normal", "bacterial", "viral"), round(count * share / 3))
            for part, share in parts.items()
        }
        overrides += [f"data.phantom.images={images}".replace("'", "").replace(" ", "")]
    (folder / "params.yaml").write_text(yaml.safe_dump(gate.compose(TOP, *overrides)))
    found, environment = {}, {**os.environ, "PYTHONPATH": str(TOP)}
    for stage in STAGES:
        command = [sys.executable, "-m", f"stages.{stage}", *([arguments.model] if stage in OF_A_MODEL else [])]
        with (folder / "log").open("ab") as log:
            child = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
            _, status, usage = os.wait4(child.pid, 0)
        if status:
            sys.exit((folder / "log").read_text()[-2000:])
        found[stage] = usage.ru_maxrss / 1024
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory of each stage at N, 2N and 4N images.")
    parser.add_argument("archive", nargs="?", type=Path, metavar="ARCHIVE", help="zip or folder; without it phantoms")
    parser.add_argument("--model", default="cnn10", help="of conf/model/ (default cnn10)")
    parser.add_argument("--images", type=int, default=400, help="N (default 400)")
    arguments = parser.parse_args()
    columns = {}
    for times in (1, 2, 4):
        with tempfile.TemporaryDirectory() as folder:
            columns[times] = peaks(arguments, times, Path(folder))
    counts = [f"{times * arguments.images} images" for times in columns]
    print(f"{'peak, MiB':<14}" + "".join(f"{count:>14}" for count in counts))
    for stage in STAGES:
        print(f"{stage:<14}" + "".join(f"{columns[times][stage]:14.0f}" for times in columns))


if __name__ == "__main__":
    main()
