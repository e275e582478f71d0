"""The ensemble that the command line names on the official test set -> its scores and metrics."""

from pathlib import Path

from pneumo import params
from pneumo.evaluation import ensemble
from pneumo.evaluation.evaluate import evaluate
from pneumo.params import Bootstrap, Evaluate, Section, Threshold
from stages import run


class Params(Section):
    bootstrap: Bootstrap
    evaluate: Evaluate
    threshold: Threshold


def main(name: str) -> None:
    config = params.load(Params)
    folder = Path("models/ensembles", name)
    metrics = evaluate(
        folder,
        ensemble.test_logits(folder, Path("outputs/test"), Path("models/trained")),
        Path("scores"),
        Path("metrics", f"{name}.json"),
        policy=config.threshold,
        bootstrap=config.bootstrap,
        prevalence=config.evaluate.prevalence,
    )
    line = f"{name}: test accuracy {metrics['accuracy']:.3f}, recall {metrics['recall']:.3f}"
    line += f", specificity {metrics['specificity']:.3f}, ROC AUC {metrics['roc_auc']:.3f}"
    print(f"{line} on {metrics['n']} images")


if __name__ == "__main__":
    run(main)
