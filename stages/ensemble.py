"""The ensemble that the command line names, on validation -> its model.json and scores."""

from pathlib import Path

from pneumo import params
from pneumo.evaluation import ensemble
from pneumo.params import BackboneFile, Ensemble, Section, Selection, Threshold
from stages import run


class Params(Section):
    ensembles: Ensemble
    model: dict[str, BackboneFile]
    select: Selection
    threshold: Threshold


def main(name: str) -> None:
    config = params.load(Params, name)
    model_json = ensemble.build(
        name,
        {backbone: Path("models/trained", backbone) for backbone in config.model},
        Path("models/ensembles", name),
        Path("outputs"),
        Path("scores"),
        top=config.ensembles.top,
        selection=config.select,
        policy=config.threshold,
    )
    print(f"{name}: mean logit of {', '.join(model_json['members'])}, threshold {model_json['threshold']:.4g}")


if __name__ == "__main__":
    run(main)
