"""Calibrated scores of the replicate that the command line names, on the official test set -> scores/test/."""

from pathlib import Path

from pneumo import params
from pneumo.evaluation.evaluate import score
from pneumo.models import bundle
from pneumo.params import Replicate, Section
from pneumo.scoring import scores
from stages import run


class Params(Section):
    replicates: Replicate


def main(name: str) -> None:
    replicate = params.load(Params, name).replicates
    logits = scores.read_logits(scores.paths(Path("outputs"), replicate.candidate, name)["test"])
    score(bundle.model_json(Path("models/trained", replicate.folder)), logits, Path("scores"))


if __name__ == "__main__":
    run(main)
