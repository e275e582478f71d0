"""The backbone that the command line names on the official test set -> its scores and metrics."""

from pathlib import Path

from pneumo import params
from pneumo.evaluation.evaluate import evaluate
from pneumo.params import Bootstrap, Evaluate, Section, Threshold
from pneumo.scoring import scores
from stages import run


class Params(Section):
    bootstrap: Bootstrap
    evaluate: Evaluate
    threshold: Threshold


def main(name: str) -> None:
    config = params.load(Params)
    metrics = evaluate(
        Path("models/trained", name),
        scores.read_logits(Path("outputs/test", f"{name}.csv")),
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
