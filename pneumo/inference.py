"""A bundle's network and its outputs. Logits are computed in float32 whatever the training precision was."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pneumo import augment, backbones, packed, perturb
from pneumo.backbones import Network, Normalisation
from pneumo.errors import BundleError, TrainingError


def load(folder: Path, contract: Mapping[str, Any]) -> Network:
    """The network of a bundle with its trained weights, in evaluation mode.

    `contract`: its model.json or training.json.
    """
    network, _ = backbones.create(
        contract["architecture"],
        input_size=contract["input_size"],
        dropout=contract["dropout"],
        weights=str(folder / "model.safetensors"),
        seed=0,
    )
    network.normalise_with(Normalisation(**contract["normalisation"]))
    return network.eval()


def part(folder: Path, contract: Mapping[str, Any], processed: Path, split: str) -> packed.Part:
    """One split of `processed`. Raises BundleError where its pixels are not of the size that the bundle is for."""
    found = packed.read(processed, split)
    if found.images.shape[1] != contract["image_size"]:
        raise BundleError(
            f"{folder} was trained on pixels of {contract['image_size']}, "
            f"and {processed} holds {found.images.shape[1]}: run `dvc repro`"
        )
    return found


@torch.inference_mode()
def logits(
    network: Network,
    part: packed.Part,
    *,
    input_size: int,
    views: Mapping[str, Any],
    device: torch.device,
    batch_size: int = 64,
) -> NDArray[np.float32]:
    """The output for each row of `part`, float32 [n]: the logit of pneumonia, before calibration.

    `views`: flip and zooms, as for pneumo.augment.views; the mean of their logits is the output.
    """

    def plain(pixels: Tensor, _: range) -> list[Tensor]:
        return [augment.resize(pixels, input_size)]

    return _outputs(network, part, plain, views, device, batch_size)[:, 0]


@torch.inference_mode()
def stressed_logits(
    network: Network,
    part: packed.Part,
    *,
    input_size: int,
    views: Mapping[str, Any],
    device: torch.device,
    batch_size: int = 64,
) -> NDArray[np.float32]:
    """The same under each of pneumo.stress.PERTURBATIONS, in one pass over the pixels: float32 [n, K]."""

    def perturbed(pixels: Tensor, rows: range) -> Iterable[Tensor]:
        return perturb.each(pixels, rows, input_size)

    return _outputs(network, part, perturbed, views, device, batch_size)


def _outputs(
    network: Network,
    part: packed.Part,
    variants: Callable[[Tensor, range], Iterable[Tensor]],
    views: Mapping[str, Any],
    device: torch.device,
    batch_size: int,
) -> NDArray[np.float32]:
    network = network.to(device).eval()
    found = []
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        for start in range(0, len(part), batch_size):
            rows = range(start, min(start + batch_size, len(part)))
            pixels = torch.from_numpy(part.pixels(slice(rows.start, rows.stop))).to(device)
            columns = [
                torch.stack([network(view) for view in augment.views(grey, **views)]).mean(dim=0)
                for grey in variants(pixels, rows)
            ]
            found.append(torch.stack(columns, dim=1).cpu())
    return torch.cat(found).numpy()


def device(accelerator: str) -> torch.device:
    """`auto`: a GPU where there is one. Raises TrainingError where a GPU was asked for and there is none."""
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise TrainingError("train.accelerator is gpu, and torch finds none: check the driver, or use auto or cpu")
    return torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")
