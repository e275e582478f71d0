"""The ensemble that the command line names on the official test set: the metrics of all its replicates -> metrics/."""

from pathlib import Path

from pneumo import params
from pneumo.evaluation import ensemble, suspected
from pneumo.evaluation.evaluate import Scored, evaluate, line
from pneumo.models import bundle
from pneumo.params import Bootstrap, Evaluate, Replicate, Section, Seeds, Threshold, replicates
from stages import run


class Params(Section):
    bootstrap: Bootstrap
    evaluate: Evaluate
    replicates: dict[str, Replicate]
    threshold: Threshold
    train: Seeds


def main(name: str) -> None:
    config = params.load(Params)
    suspects = suspected.read(Path("scores/suspected_labels.csv"))["image"].tolist()
    backbones = ensemble.backbones(config.replicates, Path("models/trained"), Path("outputs"))
    models, model_jsons = {}, []
    for each, replicate in replicates([name], config.train.seeds).items():
        model_json = bundle.model_json(Path("models/ensembles", replicate.folder))
        logits = {kind: ensemble.logits(model_json, backbones, kind) for kind in ("val", "stress", "test")}
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
