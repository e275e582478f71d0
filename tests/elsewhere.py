"""Images of another hospital in a made-up project: pixels of noise, and files of which only the size matters."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from drawn_scores import scored
from listed import repack

from pneumo.data import manifest, packed
from pneumo.external import evaluate
from pneumo.scoring import scores

SIDE = 32  # pixels of a packed image
VIEWS = ["AP", "AP", "PA", "PA"]  # one after the other


def add(root: Path, name: str, *, images: int = 100) -> dict[str, Any]:
    """Write what evaluate_external reads and writes of the data set `name`, and return its metrics.

    `root`: has models/best, scores/test, data/processed and data/audit.
    """
    table = scored(5, 1.0, images)
    folder = root / "data/external" / name
    store(folder / "processed", table[list(scores.KEY_COLUMNS)].assign(view=VIEWS * (images // len(VIEWS))))
    (folder / "raw").mkdir()
    for place, image in enumerate(table["image"]):
        (folder / "raw" / image).write_bytes(bytes(100 + place))
    repack(folder / "raw", list(table["image"]))
    scores.write(scores.table(table, table["logit"]), root / f"outputs/external/{name}.csv")
    places = (root / place for place in ("data", "models/best", "outputs/external", "scores", "metrics"))
    return evaluate.evaluate(name, *places, prevalence=0.1)


def store(processed: Path, rows: pd.DataFrame) -> None:
    """`processed` as preprocess fills it, all test images. `rows`: scores.KEY_COLUMNS, and columns of the source."""
    rng = np.random.default_rng(0)
    processed.mkdir(parents=True)
    sizes = {"width": rng.integers(900, 1400, len(rows)), "height": rng.integers(700, 1000, len(rows))}
    table = rows.assign(source_split="test", split="test", sha256=rows["image"], **sizes)
    manifest.write(table, processed / "manifest.csv")
    with packed.Writer(processed / "images.npy", SIDE) as writer:
        for _ in range(len(rows)):
            writer.append(rng.integers(0, 255, (SIDE, SIDE), dtype=np.uint8))
