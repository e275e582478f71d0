"""Score the official test set with the ensemble that the command line names -> its scores and metrics."""

from pathlib import Path

from pneumo import params
from pneumo.models import runtime
from pneumo.params import Bootstrap, Device, Evaluate, Runtime, Section
from stages import run


class Params(Section):
    bootstrap: Bootstrap
    evaluate: Evaluate
    runtime: Runtime
    train: Device


def main(name: str) -> None:
    config = params.load(Params)
    runtime.fix(threads=config.runtime.threads, cpu_isa=config.runtime.cpu_isa)
    from pneumo.evaluation.evaluate import evaluate  # imports torch, which reads what runtime.fix has set

    metrics = evaluate(
        Path("models/ensembles", name),
        Path("data/processed"),
        Path("scores"),
        Path("metrics", f"{name}.json"),
        members=Path("models/trained"),
        prevalence=config.evaluate.prevalence,
        bootstrap=config.bootstrap,
        accelerator=config.train.accelerator,
    )
    line = f"{name}: test accuracy {metrics['accuracy']:.3f}, recall {metrics['recall']:.3f}"
    line += f", specificity {metrics['specificity']:.3f}, ROC AUC {metrics['roc_auc']:.3f}"
    print(f"{line} on {metrics['n']} images")


if __name__ == "__main__":
    run(main)
