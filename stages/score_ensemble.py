"""Calibrated scores of the ensemble that the command line names, on the official test set -> scores/test/."""

from pathlib import Path

from pneumo import params
from pneumo.evaluation import ensemble
from pneumo.evaluation.evaluate import score
from pneumo.models import bundle
from pneumo.params import Replicate, Section
from stages import run


class Params(Section):
    ensemble_replicates: Replicate
    replicates: dict[str, Replicate]


def main(name: str) -> None:
    config = params.load(Params, name)
    backbones = ensemble.backbones(config.replicates, Path("models/trained"), Path("outputs"))
    model_json = bundle.model_json(Path("models/ensembles", config.ensemble_replicates.folder))
    score(model_json, ensemble.logits(model_json, backbones, "test"), Path("scores"))


if __name__ == "__main__":
    run(main)
