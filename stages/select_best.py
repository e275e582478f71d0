"""Choose the best candidate on validation scores alone -> models/best/."""

from pathlib import Path

from pneumo import params
from pneumo.evaluation import choice
from pneumo.params import BackboneFile, Ensemble, Resampling, Section, Select
from stages import run


class Params(Section):
    bootstrap: Resampling
    ensembles: dict[str, Ensemble]
    model: dict[str, BackboneFile]
    select: Select


def main() -> None:
    config = params.load(Params)
    folders = {name: Path("models/trained", name) for name in config.model}
    folders |= {name: Path("models/ensembles", name) for name in config.ensembles}
    selected = choice.select_best(
        folders, Path("scores"), Path("models/best"), select=config.select, bootstrap=config.bootstrap
    )
    print(selected["reason"])


if __name__ == "__main__":
    run(main)
