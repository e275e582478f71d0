"""Outputs on validation images, plain and perturbed, of the backbone that the command line names."""

from pathlib import Path

from pneumo import params, runtime
from stages import run


def main(name: str) -> None:
    chosen = params.load()
    runtime.fix(threads=chosen.runtime.threads, cpu_isa=chosen.runtime.cpu_isa)
    from pneumo import validation  # imports torch, which reads what runtime.fix has set

    validation.validate(
        Path("models/trained", name),
        Path("data/processed"),
        views=chosen.views.model_dump(),
        accelerator=chosen.train.accelerator,
    )


if __name__ == "__main__":
    run(main)
