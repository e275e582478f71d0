"""The chosen model and the shortcut baseline on the data set of another hospital that the command line names -> their
scores and metrics there.
"""

from pathlib import Path

from pneumo import params
from pneumo.external.evaluate import evaluate
from pneumo.params import Evaluate, Section
from stages import run


class Params(Section):
    evaluate: Evaluate


def main(name: str) -> None:
    prevalence = params.load(Params).evaluate.prevalence
    measured = evaluate(
        name,
        Path("data"),
        Path("models/best"),
        Path("outputs/external"),
        Path("scores"),
        Path("metrics"),
        prevalence=prevalence,
    )
    drop = measured["drop"]["roc_auc"]
    print(
        f"{name}: {measured['model']} has ROC AUC {measured['roc_auc']:.3f}, recall {measured['recall']:.3f}, "
        f"specificity {measured['specificity']:.3f} on {measured['n']} images; ROC AUC here {drop['internal']:.3f}, "
        f"and of the shortcut baseline there {measured['shortcut']['roc_auc']:.3f}"
    )


if __name__ == "__main__":
    run(main)
