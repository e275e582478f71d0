"""Stretch a film to the square, or pad it? `python -m benchmarks.fit [ARCHIVE] [--model cnn] [--seeds 3] [--subset N]`.

ARCHIVE: a zip or folder as conf/data/archive.yaml takes it; without it phantoms are drawn as by default. For each value
of preprocess.fit the model is trained from scratch with several seeds, on the same patients. ROC AUC of validation,
plain and with all perturbations together. Test images take no part. Films that are square already tell nothing.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml

from pneumo.evaluation import metrics
from pneumo.scoring import scores, stress
from pneumo.verification import gate

TOP = Path(__file__).parent.parent
FITS = ("stretch", "pad")


def overrides(arguments: argparse.Namespace, fit: str, seed: int) -> list[str]:
    given = [f"model={arguments.model}", f"train.seeds=[{seed}]", f"preprocess.fit={fit}", "recipe=from_scratch"]
    given += ["train.accelerator=cpu"]
    if arguments.archive:
        given += ["data=archive", f"data.path='{arguments.archive.resolve()}'", "preprocess.image_size=128"]
        given += ["data.expected=null", "split.max_unknown_patients=1.0", "train.input=small"]
        given += [f"data.subset={arguments.subset}"] if arguments.subset else []
        given += [f"model.{arguments.model}.epochs={arguments.epochs}"] if arguments.epochs else []
    return given


def stage(folder: Path, *words: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(TOP)}
    done = subprocess.run(
        [sys.executable, "-m", f"stages.{words[0]}", *words[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"stage {' '.join(words)}: {done.stderr[-1000:]}")


def measured(arguments: argparse.Namespace, folder: Path, fit: str, seed: int) -> tuple[float, float]:
    """ROC AUC of validation: plain, and of all perturbed images together."""
    composed = gate.compose(TOP, *overrides(arguments, fit, seed))
    (folder / "params.yaml").write_text(yaml.safe_dump(composed))
    if not (folder / "data/raw").exists():
        stage(folder, "download")
    if seed == 0:
        stage(folder, "preprocess")
    stage(folder, "train", arguments.model)
    stage(folder, "predict", arguments.model)
    written = scores.paths(folder / "outputs", arguments.model, arguments.model)
    plain, pooled = scores.read_logits(written["val"]), stress.pooled(stress.read_stress(written["stress"]))
    first, second = (metrics.ranking(table["label"], table["logit"])["roc_auc"] for table in (plain, pooled))
    return first, second


def main() -> None:
    parser = argparse.ArgumentParser(description="ROC AUC of validation, plain and under stress, by preprocess.fit.")
    parser.add_argument(
        "archive", nargs="?", type=Path, metavar="ARCHIVE", help="a zip or folder; without it, phantoms"
    )
    parser.add_argument("--model", default="cnn", help="of conf/model/ (default cnn)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings for each fit (default 3)")
    parser.add_argument("--subset", type=int, help="use about so many images of ARCHIVE")
    parser.add_argument("--epochs", type=int, help="instead of those of the recipe")
    arguments = parser.parse_args()
    print(f"{'fit':<10}{'seed':>5}{'plain':>10}{'stress':>10}")
    means = {}
    with tempfile.TemporaryDirectory() as name:
        for fit in FITS:
            rows = []
            for seed in range(arguments.seeds):
                rows.append(measured(arguments, Path(name), fit, seed))
                print(f"{fit:<10}{seed:>5}{rows[-1][0]:10.4f}{rows[-1][1]:10.4f}", flush=True)
            means[fit] = np.mean(rows, axis=0)
    for fit, (plain, stressed) in means.items():
        print(f"{fit:<10}{'mean':>5}{plain:10.4f}{stressed:10.4f}")


if __name__ == "__main__":
    main()
