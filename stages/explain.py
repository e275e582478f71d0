"""Grad-CAM of the chosen model's most confident test cases, and what it was trained on -> reports/explain/."""

from pathlib import Path

from pneumo import params
from pneumo.models import runtime
from pneumo.params import Augment, Device, Explain, Runtime, Section
from stages import run


class Params(Section):
    augment: Augment
    explain: Explain
    runtime: Runtime
    train: Device


def main() -> None:
    config = params.load(Params)
    runtime.fix(threads=config.runtime.threads, cpu_isa=config.runtime.cpu_isa)
    from pneumo.explain import explain, samples  # import torch, which reads what runtime.fix has set
    from pneumo.training.augment import Augmentation

    best, processed, out = Path("models/best"), Path("data/processed"), Path("reports/explain")
    summary = explain.write(
        best,
        processed,
        Path("scores/test"),
        out,
        count=config.explain.cases,
        seed=config.explain.seed,
        accelerator=config.train.accelerator,
    )
    augmentation = Augmentation(summary["input_size"], config.augment)
    samples.write(processed, out / "samples.png", augmentation, seed=config.explain.seed)
    line = f"{summary['model']}: {len(summary['cases'])} cases; rank correlation with the maps of random weights: "
    print(f"{line}{summary['mean_correlation']} (mean of {summary['defined_correlations']})")


if __name__ == "__main__":
    run(main)
