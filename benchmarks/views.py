"""Which views are worth their time? `python -m benchmarks.views MODEL [MODEL ...]`, after a run of the pipeline.

MODEL: a folder of models/trained/, of networks of the same data/processed. For each set of views the mean ROC AUC of
validation over the networks: plain, and with each image under one of the perturbations. Test images take no part.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from pneumo.data import packed
from pneumo.models import bundle, perturb
from pneumo.models.pixels import resize, tta_views
from pneumo.scoring import inference

ZOOMS = (1.0, 0.9, 0.8, 0.7)
SETS = ((1.0,), (0.9,), (1.0, 0.9), (1.0, 0.8), (0.9, 0.8), (1.0, 0.9, 0.8), (1.0, 0.9, 0.8, 0.7), (0.9, 0.8, 0.7))
BATCH = 64


@torch.inference_mode()
def logits(model: Path, part: packed.Split) -> NDArray[np.float32]:
    """[plain or under stress, flipped or not, zoom, image]."""
    model_json = bundle.training_json(model)
    network, size = inference.load(model, model_json), model_json["input_size"]
    batches = []
    for start in range(0, len(part), BATCH):
        rows = range(start, min(start + BATCH, len(part)))
        pixels = torch.from_numpy(part.pixels(slice(rows.start, rows.stop)))
        seen = [resize(pixels, size), perturb.mixed(pixels, rows, size)]
        batches.append(
            torch.stack(
                [torch.stack([network(view) for view in tta_views(one, flip=True, zooms=ZOOMS)]) for one in seen]
            )
        )
    found = torch.cat(batches, dim=2).numpy()
    return found.reshape(2, 2, len(ZOOMS), -1)


def main() -> None:
    parser = argparse.ArgumentParser(description="ROC AUC of validation by the views that a score is the mean of.")
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="models/trained/NAME")
    arguments = parser.parse_args()
    part = packed.read_split(Path("data/processed"), "val")
    outputs = [logits(model, part) for model in arguments.models]
    print(f"{'zooms':<24}mirrored     plain  under stress")
    for zooms in SETS:
        places = [ZOOMS.index(zoom) for zoom in zooms]
        for flip in (False, True):
            means = [one[:, : 1 + flip, places].mean(axis=(1, 2)) for one in outputs]
            plain, stressed = np.mean([[roc_auc_score(part.labels, row) for row in mean] for mean in means], axis=0)
            print(f"{', '.join(map(str, zooms)):<24}{'yes' if flip else 'no':<8}{plain:10.4f}{stressed:11.4f}")


if __name__ == "__main__":
    main()
