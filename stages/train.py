"""Train the backbone that the command line names -> its weights and curves."""

from pathlib import Path

from pneumo import params, runtime
from stages import run

REPEATED = {"epochs", "batch_size", "weights", "input"}  # each backbone has its own, by default the same


def main(name: str) -> None:
    chosen = params.load()
    backbone = chosen.backbone(name)
    runtime.fix(threads=chosen.runtime.threads, cpu_isa=chosen.runtime.cpu_isa)
    from pneumo import training  # imports torch, which reads what runtime.fix has set

    training.train(
        name,
        Path("data/processed"),
        model=Path("models/trained", name),
        curves=Path("dvclive", name),
        interrupted=Path(".checkpoints", name),
        features=Path(".features"),
        backbone=backbone.model_dump(),
        augmentation=chosen.augment.model_dump(),
        settings=chosen.train.model_dump(exclude=REPEATED),
    )


if __name__ == "__main__":
    run(main)
