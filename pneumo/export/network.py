"""A model of the pipeline as one torch module that has all it takes: packed pixels in, its logit out.

Resizing and views are linear maps along rows and columns, so here they are products with constant matrices, which any
ONNX runtime computes alike. The matrices are what pneumo.models.pixels does to the columns of an identity.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pneumo.models import bundle, pixels
from pneumo.models.backbones import Network
from pneumo.scoring import inference


class Backbone(nn.Module):
    """uint8 [B, S, S], packed at `image_size` -> the logit before calibration, float32 [B], mean over the views."""

    rows: Tensor
    zooms: Tensor

    def __init__(self, network: Network, model_json: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        packed, size, views = model_json["image_size"], model_json["input_size"], model_json["views"]
        self.register_buffer("rows", _along_one_side(packed, lambda grey: pixels.shrink(grey, size)))
        zooms = [
            _along_one_side(size, lambda grey, zoom=zoom: pixels.tta_views(grey, flip=False, zooms=[zoom])[0])
            for zoom in views["zooms"]
        ]
        self.register_buffer("zooms", torch.stack(zooms))
        self.zoomed, self.flip = [zoom != 1 for zoom in views["zooms"]], views["flip"]

    def forward(self, packed: Tensor) -> Tensor:
        grey = packed.unsqueeze(1).to(torch.float32) / 255
        if self.rows.shape[0] != self.rows.shape[1]:
            grey = (self.rows @ grey @ self.rows.T).clamp(0, 1)
        seen = [self.zooms[at] @ grey @ self.zooms[at].T if zoomed else grey for at, zoomed in enumerate(self.zoomed)]
        if self.flip:
            seen += [view.flip(-1) for view in seen]
        return torch.stack([self.network(view) for view in seen]).mean(dim=0)


class Ensemble(nn.Module):
    """The mean over members of each one's logit divided by its temperature."""

    def __init__(self, members: Sequence[Backbone], temperatures: Sequence[float]) -> None:
        super().__init__()
        self.members, self.temperatures = nn.ModuleList(members), list(temperatures)

    def forward(self, packed: Tensor) -> Tensor:
        calibrated = [
            member(packed) / temperature for member, temperature in zip(self.members, self.temperatures, strict=True)
        ]
        return torch.stack(calibrated).mean(dim=0)


def load(folder: Path) -> nn.Module:
    """The model in `folder`, in evaluation mode. Raises BundleError."""
    model_json = bundle.model_json(folder)
    if model_json["kind"] != "ensemble":
        return Backbone(inference.load(folder, model_json), model_json).eval()
    homes = [folder / "members" / name for name in model_json["members"]]
    member_jsons = [bundle.model_json(home) for home in homes]
    members = [Backbone(inference.load(home, member), member) for home, member in zip(homes, member_jsons, strict=True)]
    return Ensemble(members, [member["temperature"] for member in member_jsons]).eval()


def _along_one_side(side: int, change: Any) -> Tensor:
    """The matrix [new side, side] of what `change`, linear and the same along rows and columns, does along one side.

    It is given one image for each column of the identity, constant along the other side.
    """
    columns = torch.eye(side).view(side, 1, side, 1).expand(side, 1, side, side)
    changed: Tensor = change(columns.contiguous())
    middle = changed.shape[-1] // 2  # away from the border, where a warp could mix in what lies outside
    return changed[:, 0, :, middle].T.contiguous()
