"""The model in models/best: its scores, which for an ensemble follow from those of its members."""

from pathlib import Path

import pandas as pd

from pneumo.evaluation import decision
from pneumo.models import bundle
from pneumo.scoring import scores


def scores_of(best: Path, scores_folder: Path) -> pd.DataFrame:
    """scores.COLUMNS of the model in `best`, on val or test. `scores_folder`: scores/val or scores/test.

    An ensemble over seeds is no candidate, so that it has no file of its own there.
    """
    model_json = bundle.model_json(best)
    if model_json["kind"] != "ensemble":
        return scores.read_scores(scores_folder / f"{model_json['name']}.csv")
    logits = {name: scores.read_scores(scores_folder / f"{name}.csv") for name in model_json["members"]}
    temperatures = {name: bundle.model_json(best / "members" / name)["temperature"] for name in logits}
    return decision.calibrated(scores.mean_logit(logits, temperatures), model_json["temperature"])
