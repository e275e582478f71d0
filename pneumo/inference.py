"""A bundle's network and its outputs. Logits are computed in float32 whatever the training precision was."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pneumo import augment, backbones, bundle, packed
from pneumo.backbones import Network, Normalisation
from pneumo.errors import TrainingError


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
def logits(
    network: Network, part: packed.Part, *, input_size: int, device: torch.device, batch_size: int = 64
) -> NDArray[np.float32]:
    """The output for each row of `part`, float32 [n]: the logit of pneumonia, before calibration."""
    network = network.to(device).eval()
    found = []
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        for start in range(0, len(part), batch_size):
            pixels = torch.from_numpy(part.pixels(slice(start, start + batch_size))).to(device)
            found.append(network(augment.resize(pixels, input_size)).cpu())
    return torch.cat(found).numpy()


def device(accelerator: str) -> torch.device:
    """`auto`: a GPU where there is one. Raises TrainingError where a GPU was asked for and there is none."""
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise TrainingError("train.accelerator is gpu, and torch finds none: check the driver, or use auto or cpu")
    return torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")
