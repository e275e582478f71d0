"""Labels, logits and scores made by hand, for the tests of this folder."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pneumo.evaluation import decision
from pneumo.scoring import scores

NOISE = {"cnn": 0.8, "vgg16": 1.2, "resnet50": 6.0}  # of the models in the fixture `calibrated`


def logits(values: ArrayLike, split: str = "val") -> pd.DataFrame:
    """scores.RAW_COLUMNS: normal and pneumonia alternate, and so do viral and bacterial; two images a patient."""
    order = np.arange(len(np.asarray(values)))
    rows = {"image": [f"{split}/{at:03}" for at in order], "patient": [f"{split}-{at // 4}-{at % 2}" for at in order]}
    subtype = np.where(order % 2 == 0, "normal", np.where(order % 4 == 1, "viral", "bacterial"))
    return scores.table(pd.DataFrame(rows | {"label": order % 2, "subtype": subtype}), values)


def drawn_logits(noise: float, *, n: int = 200, seed: int = 0, split: str = "val") -> pd.DataFrame:
    """scores.RAW_COLUMNS of a model that errs the more, the more `noise` it has."""
    return logits(2.0 * (np.arange(n) % 2) - 1 + np.random.default_rng(seed).normal(0, noise, n), split)


def drawn_scores(noise: float, *, n: int = 200, seed: int = 0, split: str = "val") -> pd.DataFrame:
    """scores.COLUMNS of the same, at temperature 1."""
    return decision.calibrated(drawn_logits(noise, n=n, seed=seed, split=split), 1.0)
