"""Images of noise that teach something in seconds, and a network trained on them."""

import numpy as np
import pandas as pd
import pytest
from tiny import run

from pneumo.data import manifest, packed


@pytest.fixture(scope="session")
def processed(tmp_path_factory):
    """48 training, 20 validation and 20 test images of noise; pneumonia is a bright square in a place that varies."""
    folder = tmp_path_factory.mktemp("processed")
    chance = np.random.default_rng(0)
    rows = []
    with packed.Writer(folder / "images.npy", 40) as writer:
        for split, count in (("test", 20), ("train", 48), ("val", 20)):
            for k in range(count):
                pixels = chance.normal(100, 25, (40, 40))
                if k % 2:
                    top, left = chance.integers(4, 20, 2)
                    pixels[top : top + 14, left : left + 14] += 70
                writer.append(pixels.clip(0, 255).astype(np.uint8))
                name = f"{split}/{k:03}.png"
                rows.append({"image": name, "label": k % 2, "split": split, "patient": f"{split}-{k}"})
    fixed = {"subtype": "unknown", "source_split": "train", "width": 40, "height": 40, "sha256": "0"}
    manifest.write(pd.DataFrame(rows).assign(**fixed), folder / "manifest.csv")
    return folder


@pytest.fixture(scope="session")
def trained(processed, tmp_path_factory):
    return run(processed, tmp_path_factory.mktemp("trained"))
