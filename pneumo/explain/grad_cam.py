"""Where in the image a model finds its evidence for pneumonia: Grad-CAM, checked against random weights.

Grad-CAM (Selvaraju et al. 2017): the feature maps of a late convolutional layer, each weighted by the mean gradient of
the logit with respect to it, summed, negative values set to zero. It always shows evidence for pneumonia, even for
images that were called normal. It is as coarse as that layer, and says where the network looked, not whether it was
right to look there. Of a network that is scored on several views of an image it is the mean of their maps, each brought
back to where it was seen.

The check (Adebayo et al. 2018, "Sanity checks for saliency maps"): the same images through the same architecture with
random weights. A map that stays the same reflects the image, not what was learnt.

Limits. The mean gradient forgets where in the map it came from: a network whose head weights places differently, as
cnn's does, can light up where it did not look (Draelos and Carin 2020). And a map is stretched over the whole image,
although the cells of a network without padding at the border, such as Inception, leave out a margin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from numpy.typing import NDArray
from torch import Tensor, nn

from pneumo.data import packed
from pneumo.errors import BundleError
from pneumo.models import backbones, bundle
from pneumo.models.backbones import Network
from pneumo.models.pixels import resize, tta_views, warp
from pneumo.scoring import inference

Maps = NDArray[np.float64]  # [n, S, S] in [0, 1]

SMALLEST_SIDE = 4  # cells of a map: with fewer, the upper and lower zones of a lung share cells
BATCH_SIZE = 8


@dataclass(frozen=True)
class Member:
    """One network of the model: a backbone is one, an ensemble has several. `layer`: whose feature map is used."""

    network: Network
    model_json: Mapping[str, Any]
    layer: str
    side: int  # cells of the layer's feature map


def load_member(folder: Path, device: torch.device) -> Member:
    """The backbone in `folder`."""
    model_json = bundle.model_json(folder)
    network = inference.load(folder, model_json)
    return Member(_frozen(network, device), model_json, *last_map(network, model_json["input_size"]))


def randomised(member: Member, seed: int, device: torch.device) -> Member:
    """The same architecture with random weights."""
    network = backbones.from_json(member.model_json, weights="none", seed=seed)
    return Member(_frozen(network, device), member.model_json, member.layer, member.side)


def maps(member: Member, images: packed.Split, device: torch.device) -> Maps:
    """Grad-CAM of each of `images`, as `maps_of` gives it."""
    rows = (slice(start, start + BATCH_SIZE) for start in range(0, len(images), BATCH_SIZE))
    size = images.images.shape[1]
    return np.concatenate([np.empty((0, size, size)), *(maps_of(member, images.pixels(at), device) for at in rows)])


def maps_of(member: Member, pixels: packed.Pixels, device: torch.device) -> Maps:
    """Grad-CAM of uint8 [n, S, S] for the logit of pneumonia: [n, S, S].

    The mean over the views that are scored; what a zoomed view does not see has no evidence in it. Each map is divided
    by its own maximum; one without positive evidence is zero throughout.
    """
    grad_cam = LayerGradCam(member.network, member.network.get_submodule(member.layer))
    size, flip, zooms = pixels.shape[-1], member.model_json["views"]["flip"], member.model_json["views"]["zooms"]
    grey = resize(torch.from_numpy(pixels).to(device), member.model_json["input_size"])
    of_views = []
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        for at, view in enumerate(tta_views(grey, flip=flip, zooms=zooms)):
            # The weights are frozen, so it is the input that has to require a gradient.
            seen = view.detach().requires_grad_()
            cells = grad_cam.attribute(seen, relu_attributions=True).detach().double().cpu()
            back = spread(cells, size, zooms[at % len(zooms)])
            of_views.append((back if at < len(zooms) else back.flip(-1)).squeeze(1))
    return _scaled(torch.stack(of_views).mean(dim=0).numpy())


def spread(cells: Tensor, size: int, zoom: float) -> Tensor:
    """[n, 1, side, side] of a view that saw the share `zoom` of the side -> [n, 1, size, size] of the whole image.

    Zero where the view did not see.
    """
    seen = F.interpolate(cells, (size, size), mode="bilinear")
    if zoom == 1:
        return seen
    theta = torch.tensor([[1 / zoom, 0.0, 0.0], [0.0, 1 / zoom, 0.0]], dtype=cells.dtype).expand(len(cells), 2, 3)
    return warp(seen, theta, size)


def mean_map(of_members: list[Maps]) -> Maps:
    """The maps of a model with these members, which count alike, as the maximum of each of their maps is 1."""
    return _scaled(np.mean(of_members, axis=0))


def correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation of two maps, pixel by pixel; None where one of them is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    pair = pd.DataFrame({"first": first.ravel(), "second": second.ravel()})  # scipy.stats takes seconds to import
    return round(float(pair.corr(method="spearman").to_numpy()[0, 1]), 4)


def last_map(network: Network, size: int) -> tuple[str, int]:
    """Name and side of the deepest layer whose output is a feature map, [B, C, side, side], that all evidence passes.

    All: no path from the pixels (`size` a side) to the logit bypasses it, as a skip connection bypasses the layers of
    its residual block. A layer whose map has SMALLEST_SIDE or more is preferred to a deeper one that has less. The
    layer is found by trial, so this works for every architecture. Raises BundleError where there is none.
    """
    sides = _sides(network, size)
    deepest_first = list(reversed(sides))
    for name in sorted(deepest_first, key=lambda name: sides[name] < SMALLEST_SIDE):
        if _all_passes(network, name, size):
            return name, sides[name]
    raise BundleError("this architecture has no feature map that Grad-CAM can use")


def _frozen(network: Network, device: torch.device) -> Network:
    return network.requires_grad_(False).eval().to(device)


def _sides(network: Network, size: int) -> dict[str, int]:
    """Layer -> side of its square feature map, in the order in which a forward pass completes them."""
    sides: dict[str, int] = {}

    def recorder(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() == 4 and output.shape[2] == output.shape[3]:
                sides[name] = output.shape[3]

        return hook

    handles = [module.register_forward_hook(recorder(name)) for name, module in network.named_modules()]
    try:
        _logit(network, size)
    finally:
        for handle in handles:
            handle.remove()
    return sides


def _all_passes(network: Network, layer: str, size: int) -> bool:
    """Whether the logit no longer depends on the pixels once the gradient is cut at `layer`. Needs frozen weights."""
    handle = network.get_submodule(layer).register_forward_hook(lambda module, inputs, output: output.detach())
    try:
        return not _logit(network, size).requires_grad
    finally:
        handle.remove()


def _logit(network: Network, size: int) -> Tensor:
    return network(torch.zeros(1, 1, size, size, device=network.mean.device, requires_grad=True))


def _scaled(values: Maps) -> Maps:
    largest = values.max(axis=(1, 2), keepdims=True, initial=0)
    return np.divide(values, largest, out=np.zeros_like(values), where=largest > 0)
