"""The chosen model on validation films with lungs, surroundings or border covered -> reports/ablation/."""

from pathlib import Path

from pneumo import params
from pneumo.models import runtime
from pneumo.params import Device, Lots, Runtime, Section
from stages import run


class Params(Section):
    explain: Lots
    runtime: Runtime
    train: Device


def main() -> None:
    config = params.load(Params)
    runtime.fix(threads=config.runtime.threads, cpu_isa=config.runtime.cpu_isa)
    from pneumo.explain import ablation  # imports torch, which reads what runtime.fix has set

    summary = ablation.write(
        Path("models/best"),
        Path("data/processed"),
        Path("reports/ablation"),
        seed=config.explain.seed,
        accelerator=config.train.accelerator,
    )
    left_out = len(summary["left_out"])
    print(f"{summary['model']}: {summary['n']} validation images; left out, without plausible lungs: {left_out}")
    for name, measured in summary["covers"].items():
        low, high = measured["ci95"]["roc_auc"]
        print(f"{name.replace('_', ' '):26} ROC AUC {measured['roc_auc']} [{low}, {high}]")


if __name__ == "__main__":
    run(main)
