"""Calibrated scores of every replicate of every candidate on the official test set -> scores/test/."""

from pathlib import Path

from pneumo import params
from pneumo.evaluation import ensemble
from pneumo.evaluation.evaluate import score
from pneumo.models import bundle
from pneumo.params import Replicate, Section
from pneumo.scoring import scores
from stages import run


class Params(Section):
    ensemble_replicates: dict[str, Replicate]
    replicates: dict[str, Replicate]


def main() -> None:
    config = params.load(Params)
    backbones = ensemble.backbones(config.replicates, Path("models/trained"), Path("outputs"))
    for backbone in backbones.values():
        score(bundle.model_json(backbone.folder), scores.read_logits(backbone.outputs["test"]), Path("scores"))
    for replicate in config.ensemble_replicates.values():
        model_json = bundle.model_json(Path("models/ensembles", replicate.folder))
        score(model_json, ensemble.logits(model_json, backbones, "test"), Path("scores"))
    print(f"scores/test: {len(config.replicates)} networks, {len(config.ensemble_replicates)} ensembles")


if __name__ == "__main__":
    run(main)
