"""The backbone that the command line names on the official test set: the metrics of all its replicates -> metrics/."""

from pathlib import Path

from pneumo import params
from pneumo.evaluation.evaluate import Evaluated, evaluate, line
from pneumo.params import Evaluate, Section, Seeds, replicates
from pneumo.scoring import scores
from stages import run


class Params(Section):
    evaluate: Evaluate
    train: Seeds


def main(name: str) -> None:
    config = params.load(Params)
    models = [
        Evaluated.read(Path("models/trained", replicate.folder), scores.paths(Path("outputs"), name, each))
        for each, replicate in replicates([name], config.train.seeds).items()
    ]
    metrics = evaluate(
        models,
        Path("metrics", f"{name}.json"),
        seeds=config.train.listed,
        prevalence=config.evaluate.prevalence,
    )
    print(f"{name}: {line(metrics)}")


if __name__ == "__main__":
    run(main)
