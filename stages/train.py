"""Train the replicate of a backbone that the command line names -> its weights and curves."""

import os
from pathlib import Path

from pneumo import params
from pneumo.models import runtime
from pneumo.params import Augment, Backbone, Fit, Replicate, Runtime, Section, Training
from pneumo.training import processes
from stages import run


class Params(Section):
    augment: Augment
    model: Backbone
    preprocess: Fit
    replicates: Replicate
    runtime: Runtime
    train: Training


def main(name: str) -> None:
    config = params.load(Params, name)
    processes.launch("stages.train", [name])
    runtime.fix(threads=config.runtime.threads, cpu_isa=config.runtime.cpu_isa)
    from pneumo.training.train import train  # imports torch, which reads what runtime.fix has set

    shared = os.environ.get("PNEUMO_CHECKPOINTS")  # where these lie changes no byte of the result
    train(
        name,
        Path("data/processed"),
        model=Path("models/trained", config.replicates.folder),
        curves=Path("dvclive", name),
        resume_from=Path(shared or ".checkpoints", name),
        shared=bool(shared),
        features=Path(shared or "", ".features"),
        backbone=config.model,
        augment=config.augment,
        training=config.train,
        seed=config.replicates.seed,
        film_fit=config.preprocess.fit,
    )


if __name__ == "__main__":
    run(main)
