"""Temperature and threshold on validation for the backbone that the command line names -> model.json and scores."""

from pathlib import Path

from pneumo import params
from pneumo.evaluation import decision
from pneumo.params import Section, Threshold, Views
from stages import run


class Params(Section):
    threshold: Threshold
    views: Views


def main(name: str) -> None:
    config = params.load(Params)
    model_json = decision.calibrate_backbone(
        Path("models/trained", name), Path("outputs"), Path("scores"), views=config.views, policy=config.threshold
    )
    print(f"{name}: temperature {model_json['temperature']:.4g}, threshold {model_json['threshold']:.4g}")


if __name__ == "__main__":
    run(main)
