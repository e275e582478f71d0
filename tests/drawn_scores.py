"""Scores of a made-up model."""

import numpy as np
import pandas as pd


def scored(seed: int, separation: float, images: int = 200) -> pd.DataFrame:
    """One image a patient, half of them pneumonia; `separation`: of the classes, in standard deviations."""
    rng = np.random.default_rng(seed)
    label = np.arange(images) % 2
    logit = rng.normal(0, 1, images) + separation * (label - 0.5)
    names = [f"{seed}-{k:04}" for k in range(images)]
    rows = {"image": names, "patient": names, "label": label, "subtype": np.where(label, "unknown", "normal")}
    return pd.DataFrame(rows | {"score": 1 / (1 + np.exp(-logit)), "logit": logit})
