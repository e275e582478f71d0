"""A bundle and a split -> scores table. Scores are computed in float32 whatever the training precision was."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from pneumo import augment, backbones, bundle, packed
from pneumo.backbones import Network, Normalisation
from pneumo.errors import BundleError, TrainingError


def score(folder: Path, processed: Path, split: str, *, accelerator: str = "auto") -> pd.DataFrame:
    """Scores of the model in `folder` on one split: columns image, patient, label, subtype, score."""
    network, contract = load(folder)
    part = packed.read(processed, split)
    if part.images.shape[1] != contract["image_size"]:
        raise BundleError(
            f"{folder} was trained on pixels of {contract['image_size']}, "
            f"and {processed} holds {part.images.shape[1]}: run `dvc repro`"
        )
    return table(part, predict(network, part, input_size=contract["input_size"], device=device(accelerator)))


def load(folder: Path) -> tuple[Network, dict]:
    """The network of a bundle with its trained weights, in evaluation mode, and its contract."""
    contract = bundle.contract(folder)
    network, _ = backbones.create(
        contract["architecture"],
        input_size=contract["input_size"],
        dropout=contract["dropout"],
        weights=str(folder / "model.safetensors"),
        seed=0,
    )
    network.normalise_with(Normalisation(**contract["normalisation"]))
    return network.eval(), contract


@torch.inference_mode()
def predict(
    network: Network, part: packed.Part, *, input_size: int, device: torch.device, batch_size: int = 64
) -> NDArray[np.float32]:
    """Probability of pneumonia of each row of `part`, float32 [n]."""
    network = network.to(device).eval()
    scores = []
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        for start in range(0, len(part), batch_size):
            pixels = torch.from_numpy(part.pixels(slice(start, start + batch_size))).to(device)
            scores.append(network(augment.resize(pixels, input_size)).sigmoid().cpu())
    return torch.cat(scores).numpy()


def table(part: packed.Part, scores: NDArray[np.float32]) -> pd.DataFrame:
    return part.rows.loc[:, ["image", "patient", "label", "subtype"]].assign(score=scores)


def device(accelerator: str) -> torch.device:
    """`auto`: a GPU where there is one. Raises TrainingError where a GPU was asked for and there is none."""
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise TrainingError("train.accelerator is gpu, and torch finds none: check the driver, or use auto or cpu")
    return torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")
