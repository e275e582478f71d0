"""The backbone that the command line names on the official test set: the metrics of all its replicates -> metrics/."""

from pathlib import Path

from pneumo import params
from pneumo.evaluation import suspected
from pneumo.evaluation.evaluate import Scored, evaluate, line, read_logits
from pneumo.models import bundle
from pneumo.params import Bootstrap, Evaluate, Section, Seeds, Threshold, replicates
from pneumo.scoring import scores
from stages import run


class Params(Section):
    bootstrap: Bootstrap
    evaluate: Evaluate
    threshold: Threshold
    train: Seeds


def main(name: str) -> None:
    config = params.load(Params)
    suspects = suspected.read(Path("scores/suspected_labels.csv"))["image"].tolist()
    models, model_jsons = {}, []
    for each, replicate in replicates([name], config.train.seeds).items():
        model_json = bundle.model_json(Path("models/trained", replicate.folder))
        logits = read_logits(scores.paths(Path("outputs"), name, each))
        model_jsons.append(model_json)
        models[each] = Scored.of(model_json, logits, config.threshold, config.bootstrap, suspects)
    metrics = evaluate(
        models,
        model_jsons[0],
        Path("metrics", f"{name}.json"),
        seeds=config.train.listed,
        prevalence=config.evaluate.prevalence,
    )
    print(f"{name}: {line(metrics)}")


if __name__ == "__main__":
    run(main)
