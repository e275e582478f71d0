"""Logits of the chosen model on the data set of another hospital that the command line names."""

from pathlib import Path

from pneumo import params
from pneumo.models import runtime
from pneumo.params import Device, Runtime, Section
from stages import run


class Params(Section):
    runtime: Runtime
    train: Device


def main(name: str) -> None:
    config = params.load(Params)
    runtime.fix(threads=config.runtime.threads, cpu_isa=config.runtime.cpu_isa)
    from pneumo.scoring import outputs, scores  # imports torch, which reads what runtime.fix has set

    processed = Path("data/external", name, "processed")
    logits = outputs.logits(Path("models/best"), processed, "test", accelerator=config.train.accelerator)
    scores.write(logits, Path("outputs/external", f"{name}.csv"))


if __name__ == "__main__":
    run(main)
