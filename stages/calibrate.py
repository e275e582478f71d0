"""Temperature and threshold on validation for the replicate that the command line names -> model.json and scores."""

from pathlib import Path

from pneumo import params
from pneumo.evaluation import decision
from pneumo.params import Replicate, Section, Threshold, Views
from pneumo.scoring import scores
from stages import run


class Params(Section):
    replicates: Replicate
    threshold: Threshold
    views: Views


def main(name: str) -> None:
    config = params.load(Params, name)
    logits = scores.paths(Path("outputs"), config.replicates.candidate, name)
    model_json = decision.calibrate_backbone(
        Path("models/trained", config.replicates.folder),
        logits["val"],
        logits["stress"],
        Path("scores"),
        views=config.views,
        policy=config.threshold,
    )
    print(f"{name}: temperature {model_json['temperature']:.4g}, threshold {model_json['threshold']:.4g}")


if __name__ == "__main__":
    run(main)
