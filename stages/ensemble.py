"""The replicate of an ensemble that the command line names, on validation -> its model.json and scores."""

from pathlib import Path

from pneumo import params
from pneumo.evaluation import ensemble
from pneumo.params import Ensemble, Replicate, Section, Selection, Threshold
from stages import run


class Params(Section):
    ensemble_replicates: Replicate
    ensembles: Ensemble
    replicates: dict[str, Replicate]
    select: Selection
    threshold: Threshold


def main(name: str) -> None:
    config = params.load(Params, name)
    replicate = config.ensemble_replicates
    of_seed = {each: other for each, other in config.replicates.items() if other.seed == replicate.seed}
    model_json = ensemble.build(
        name,
        ensemble.backbones(of_seed, Path("models/trained"), Path("outputs")),
        Path("models/ensembles", replicate.folder),
        Path("scores"),
        top=config.ensembles.top,
        selection=config.select,
        policy=config.threshold,
    )
    print(f"{name}: mean logit of {', '.join(model_json['members'])}, threshold {model_json['threshold']:.4g}")


if __name__ == "__main__":
    run(main)
