"""A model of the pipeline as one torch module that has all it takes: packed pixels in, its logit out, and on request
where it found its evidence, as pneumo.explain.grad_cam has it.

Resizing and views are linear maps along rows and columns, so here they are products with constant matrices, which any
ONNX runtime computes alike. The matrices are what pneumo.models.pixels does to the columns of an identity.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pneumo.explain import grad_cam
from pneumo.export.evidence import Cells
from pneumo.models import bundle, pixels
from pneumo.models.backbones import Network
from pneumo.scoring import inference


class Backbone(nn.Module):
    """uint8 [B, S, S], packed at `image_size` -> the logit before calibration, float32 [B], mean over the views.

    With `heat` also the evidence, float32 [B, S, S] in [0, 1]: see pneumo.explain.grad_cam.maps_of.
    Raises BundleError where there is none to be had.
    """

    rows: Tensor
    zooms: Tensor
    spreads: Tensor

    def __init__(self, network: Network, model_json: Mapping[str, Any], *, heat: bool = False) -> None:
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
        self.cells = Cells(network, size) if heat else None
        if self.cells:
            spreads = [
                _along_one_side(self.cells.side, lambda cells, zoom=zoom: grad_cam.spread(cells, packed, zoom))
                for zoom in views["zooms"]
            ]
            self.register_buffer("spreads", torch.stack(spreads))

    def forward(self, packed: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        grey = packed.unsqueeze(1).to(torch.float32) / 255
        if self.rows.shape[0] != self.rows.shape[1]:
            grey = (self.rows @ grey @ self.rows.T).clamp(0, 1)
        seen = [self.zooms[at] @ grey @ self.zooms[at].T if zoomed else grey for at, zoomed in enumerate(self.zoomed)]
        if self.flip:
            seen += [view.flip(-1) for view in seen]
        if self.cells is None:
            return torch.stack([self.network(view) for view in seen]).mean(dim=0)
        logits, cells = zip(*(self.cells(self.network, view) for view in seen), strict=True)
        return torch.stack(logits).mean(dim=0), self._heat(cells)

    def _heat(self, of_views: Sequence[Tensor]) -> Tensor:
        count = len(self.zoomed)
        back = [self.spreads[at % count] @ cells @ self.spreads[at % count].T for at, cells in enumerate(of_views)]
        unmirrored = [heat if at < count else heat.flip(-1) for at, heat in enumerate(back)]
        return _scaled(torch.stack(unmirrored).mean(dim=0).squeeze(1))


class Ensemble(nn.Module):
    """The mean over members of each one's logit divided by its temperature, and where they have it of their heat."""

    def __init__(self, members: Sequence[Backbone], temperatures: Sequence[float]) -> None:
        super().__init__()
        self.members, self.temperatures = nn.ModuleList(members), list(temperatures)

    def forward(self, packed: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        outputs = [member(packed) for member in self.members]
        heats = [output[1] for output in outputs if isinstance(output, tuple)]
        logits = [output[0] if isinstance(output, tuple) else output for output in outputs]
        calibrated = [logit / temperature for logit, temperature in zip(logits, self.temperatures, strict=True)]
        logit = torch.stack(calibrated).mean(dim=0)
        return (logit, _scaled(torch.stack(heats).mean(dim=0))) if heats else logit


def load(folder: Path, *, heat: bool = False) -> nn.Module:
    """The model in `folder`, in evaluation mode; with `heat` it gives the logit and the evidence.

    Raises BundleError, also where a network has no map to take the evidence from.
    """
    model_json = bundle.model_json(folder)
    if model_json["kind"] != "ensemble":
        return Backbone(inference.load(folder, model_json), model_json, heat=heat).eval()
    homes = folders(folder)
    member_jsons = [bundle.model_json(home) for home in homes]
    members = [
        Backbone(inference.load(home, member), member, heat=heat)
        for home, member in zip(homes, member_jsons, strict=True)
    ]
    return Ensemble(members, [member["temperature"] for member in member_jsons]).eval()


def folders(folder: Path) -> list[Path]:
    """Of the networks that the model in `folder` has: its members, or itself."""
    model_json = bundle.model_json(folder)
    if model_json["kind"] != "ensemble":
        return [folder]
    return [folder / "members" / name for name in model_json["members"]]


def _scaled(heat: Tensor) -> Tensor:
    """Each of [B, S, S] divided by its maximum; one without evidence stays zero."""
    largest = heat.amax(dim=(1, 2), keepdim=True)
    return heat / torch.where(largest > 0, largest, torch.ones_like(largest))


def _along_one_side(side: int, change: Any) -> Tensor:
    """The matrix [new side, side] of what `change`, linear and the same along rows and columns, does along one side.

    It is given one image for each column of the identity, constant along the other side.
    """
    columns = torch.eye(side).view(side, 1, side, 1).expand(side, 1, side, side)
    changed: Tensor = change(columns.contiguous())
    middle = changed.shape[-1] // 2  # away from the border, where a warp could mix in what lies outside
    return changed[:, 0, :, middle].T.contiguous()
