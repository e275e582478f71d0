"""Logits of the replicate that the command line names: validation images, plain and under stress, and test images."""

from pathlib import Path

from pneumo import params
from pneumo.models import runtime
from pneumo.params import Device, Replicate, Runtime, Section, Views
from stages import run


class Params(Section):
    replicates: Replicate
    runtime: Runtime
    train: Device
    views: Views


def main(name: str) -> None:
    config = params.load(Params, name)
    runtime.fix(threads=config.runtime.threads, cpu_isa=config.runtime.cpu_isa)
    from pneumo.scoring import outputs  # imports torch, which reads what runtime.fix has set

    outputs.predict(
        Path("models/trained", config.replicates.folder),
        Path("data/processed"),
        Path("outputs"),
        candidate=config.replicates.candidate,
        views=config.views,
        accelerator=config.train.accelerator,
    )


if __name__ == "__main__":
    run(main)
