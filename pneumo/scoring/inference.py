"""A trained network and its outputs. Logits are computed in float32 whatever the training precision was."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pneumo.data import packed
from pneumo.errors import BundleError
from pneumo.models import backbones, bundle, perturb
from pneumo.models.backbones import Network
from pneumo.models.pixels import resize, tta_views


@dataclass(frozen=True)
class Scorer:
    """`network` applied to packed pixels, resized to `input_size`.

    `views`: flip and zooms, as for pneumo.models.pixels.tta_views; an output is the mean logit over them.
    """

    network: Network
    input_size: int
    views: Mapping[str, Any]
    device: torch.device
    batch_size: int = 64

    def logits(self, split: packed.Split) -> NDArray[np.float32]:
        """The logit of pneumonia for each row of `split`, before calibration: float32 [n]."""
        return self._outputs(split, lambda pixels, rows: [resize(pixels, self.input_size)])[:, 0]

    def stress_logits(self, split: packed.Split) -> NDArray[np.float32]:
        """The same under each of the K PERTURBATIONS, in one pass over the pixels: float32 [n, K]."""
        return self._outputs(split, lambda pixels, rows: perturb.each(pixels, rows, self.input_size))

    @torch.inference_mode()
    def _outputs(
        self, split: packed.Split, variants: Callable[[Tensor, range], Iterable[Tensor]]
    ) -> NDArray[np.float32]:
        network = self.network.to(self.device).eval()
        batches = []
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            for start in range(0, len(split), self.batch_size):
                rows = range(start, min(start + self.batch_size, len(split)))
                pixels = torch.from_numpy(split.pixels(slice(rows.start, rows.stop))).to(self.device)
                columns = [
                    torch.stack([network(view) for view in tta_views(grey, **self.views)]).mean(dim=0)
                    for grey in variants(pixels, rows)
                ]
                batches.append(torch.stack(columns, dim=1).cpu())
        return torch.cat(batches).numpy()


def load(folder: Path, model_json: Mapping[str, Any]) -> Network:
    """The network in `folder` with its trained weights, in evaluation mode. `model_json`: or its training.json."""
    return backbones.from_json(model_json, weights=str(bundle.weights(folder, model_json))).eval()


def read_split(folder: Path, model_json: Mapping[str, Any], processed: Path, split: str) -> packed.Split:
    """One split of `processed`. Raises BundleError where its pixels are not of the size that the model is for."""
    images = packed.read_split(processed, split)
    if images.images.shape[1] != model_json["image_size"]:
        raise BundleError(
            f"{folder} was trained on images packed at {model_json['image_size']} pixels, "
            f"and {processed} holds {images.images.shape[1]}: run `dvc repro`"
        )
    return images
