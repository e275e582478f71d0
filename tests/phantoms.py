"""What the tests of the audit share: how phantoms are prepared, marked and audited, and made-up manifests."""

from pathlib import Path

import numpy as np
import pandas as pd
from listed import split_params
from PIL import Image

from pneumo.params import Bootstrap, Threshold

# As many as by default in params.yaml, so that "nothing is flagged" holds there too.
IMAGES = {
    "train": {"normal": 110, "bacterial": 100, "viral": 80},
    "val": {"normal": 4, "bacterial": 4, "viral": 2},
    "test": {"normal": 40, "bacterial": 35, "viral": 25},
}
PREPARED = {"image_size": 96, "max_rejected": 0.05, "split": split_params(val_fraction=0.15, max_unknown_patients=0.05)}
AUDITED = {
    "source": "phantom",
    "subset": None,
    "threshold": Threshold(scores="plain", policy="youden", value=None, error_rates=[0.05]),
    "bootstrap": Bootstrap(resamples=200, seed=0, threshold="redrawn"),
    "prevalence": 0.1,
}


def rows(*described: tuple) -> pd.DataFrame:
    """A manifest of (image, label, patient, split) with a SHA-256 for each that nobody else has."""
    table = pd.DataFrame(described, columns=["image", "label", "patient", "split"])
    source = np.where(table["split"] == "test", "test", "train")
    subtype = np.where(table["label"] == 0, "normal", "viral")
    return table.assign(source_split=source, subtype=subtype, width=64, height=64, sha256=table["image"])


def letter_on_pneumonia(raw: Path) -> None:
    """A bright mark in one corner of all images of one class, as a hospital's own letter would be."""
    for path in raw.glob("*/PNEUMONIA/*"):
        image = Image.open(path).convert("L")
        image.paste(255, (2, 2, 12, 12))
        image.save(path, format="JPEG", quality=90)
