"""The ensemble that the command line names on the official test set: the metrics of all its replicates -> metrics/."""

from pathlib import Path

from pneumo import params
from pneumo.evaluation import ensemble
from pneumo.evaluation.evaluate import Evaluated, evaluate, line
from pneumo.models import bundle
from pneumo.params import Evaluate, Replicate, Section, Seeds, replicates
from stages import run


class Params(Section):
    evaluate: Evaluate
    replicates: dict[str, Replicate]
    train: Seeds


def main(name: str) -> None:
    config = params.load(Params)
    backbones = ensemble.backbones(config.replicates, Path("models/trained"), Path("outputs"))
    models = []
    for replicate in replicates([name], config.train.seeds).values():
        model_json = bundle.model_json(Path("models/ensembles", replicate.folder))
        logits = (ensemble.logits(model_json, backbones, kind) for kind in ("val", "stress", "test"))
        models.append(Evaluated(model_json, *logits))
    metrics = evaluate(
        models,
        Path("metrics", f"{name}.json"),
        seeds=config.train.listed,
        prevalence=config.evaluate.prevalence,
    )
    print(f"{name}: {line(metrics)}")


if __name__ == "__main__":
    run(main)
