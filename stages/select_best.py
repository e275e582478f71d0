"""Choose the best candidate on validation scores alone -> models/selected/."""

from pathlib import Path

from pneumo import params
from pneumo.evaluation.select_best import select_best
from pneumo.params import Replicate, Resampling, Section, Select, Threshold
from stages import run


class Params(Section):
    bootstrap: Resampling
    ensemble_replicates: dict[str, Replicate]
    replicates: dict[str, Replicate]
    select: Select
    threshold: Threshold


def main() -> None:
    config = params.load(Params)
    folders = {name: Path("models/trained", each.folder) for name, each in config.replicates.items()}
    folders |= {name: Path("models/ensembles", each.folder) for name, each in config.ensemble_replicates.items()}
    models: dict[str, list[str]] = {}
    for name, each in {**config.replicates, **config.ensemble_replicates}.items():
        models.setdefault(each.candidate, []).append(name)
    selected = select_best(
        models,
        folders,
        Path("scores"),
        Path("models/selected"),
        select=config.select,
        bootstrap=config.bootstrap,
        threshold=config.threshold,
    )
    print(selected["reason"])


if __name__ == "__main__":
    run(main)
