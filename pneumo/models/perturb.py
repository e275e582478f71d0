"""The perturbations of stress, applied to batches of pixels on whatever device they are on.

Which way a shift goes or whether contrast rises or falls, and the noise, follow from the row of an image alone, so that
neither batch nor device nor network decides what an image is tried with.
"""

import math
from collections.abc import Iterator, Sequence

import kornia.filters
import torch
from torch import Tensor

from pneumo.models.perturbations import PERTURBATIONS
from pneumo.models.pixels import shrink, warp

SEED = 0x57E55  # fixed: every model meets the same perturbations
Perturbation = tuple[str, float]


class _Drawn:
    """What is random in the perturbations of the image in this row of its part."""

    def __init__(self, row: int, size: int) -> None:
        generator = torch.Generator().manual_seed(SEED + row)
        self.ways = (torch.randint(0, 2, (2,), generator=generator) * 2 - 1).tolist()
        self.noise = torch.randn(1, size, size, generator=generator)


def each(pixels: Tensor, rows: Sequence[int], size: int) -> Iterator[Tensor]:
    """Packed pixels, uint8 [B, S, S] -> for each of PERTURBATIONS float [B, 1, size, size] in [0, 1].

    `rows`: the number of each image in its part.
    """
    drawn = [_Drawn(row, size) for row in rows]
    for perturbation in PERTURBATIONS:
        yield _perturbed(pixels, [perturbation] * len(rows), drawn, size)


def mixed(pixels: Tensor, rows: Sequence[int], size: int) -> Tensor:
    """[B, 1, size, size]: each image under one of the PERTURBATIONS, which its row decides. All of them occur equally
    often, at the price of scoring the images once.
    """
    order = torch.randperm(len(PERTURBATIONS), generator=torch.Generator().manual_seed(SEED)).tolist()
    of_rows = [PERTURBATIONS[order[row % len(order)]] for row in rows]
    return _perturbed(pixels, of_rows, [_Drawn(row, size) for row in rows], size)


def _perturbed(pixels: Tensor, perturbations: Sequence[Perturbation], drawn: Sequence[_Drawn], size: int) -> Tensor:
    with torch.autocast(pixels.device.type, enabled=False):
        grey = pixels.unsqueeze(1).float() / 255
        theta = torch.tensor(
            [_map(*perturbation, *random.ways) for perturbation, random in zip(perturbations, drawn, strict=True)]
        )
        moved = [row for row, (kind, _) in enumerate(perturbations) if kind in ("zoom", "shift", "aspect")]
        if moved:
            grey[moved] = warp(grey[moved], theta[moved].to(grey.device), grey.shape[-1], padding="reflection")
        grey = shrink(grey, size)
        for kind, change in _TONES.items():
            rows = [row for row, perturbation in enumerate(perturbations) if perturbation[0] == kind]
            if rows:
                strength = torch.tensor([perturbations[row][1] ** _sign(kind, drawn[row]) for row in rows])
                noise = torch.stack([drawn[row].noise for row in rows])
                grey[rows] = change(grey[rows], strength.view(-1, 1, 1, 1).to(grey.device), noise).clamp(0, 1)
        return grey


def _sign(kind: str, drawn: _Drawn) -> int:
    """A factor or its inverse; blur and noise have no other way."""
    return drawn.ways[0] if kind in ("exposure", "contrast") else 1


def _map(kind: str, strength: float, way: int, other: int) -> list[list[float]]:
    """The affine map of a crop, in the units of torch.nn.functional.affine_grid."""
    wide, high, right, down = 1.0, 1.0, 0.0, 0.0
    if kind == "zoom":
        wide = high = strength
    elif kind == "aspect":
        wide, high = (1 / strength, 1.0) if way > 0 else (1.0, 1 / strength)
    elif kind == "shift":
        right, down = 2 * strength * way, 2 * strength * other
    return [[wide, 0.0, right], [0.0, high, down]]


def _exposure(grey: Tensor, exponent: Tensor, _: Tensor) -> Tensor:
    return grey.pow(exponent)


def _contrast(grey: Tensor, factor: Tensor, _: Tensor) -> Tensor:
    mean = grey.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (grey - mean) * factor


def _blur(grey: Tensor, sigma: Tensor, _: Tensor) -> Tensor:
    pixels = sigma.view(-1, 1).expand(-1, 2) * grey.shape[-1]
    side = 2 * math.ceil(3 * float(pixels.max())) + 1
    return kornia.filters.gaussian_blur2d(grey, (side, side), pixels)


def _noise(grey: Tensor, deviation: Tensor, noise: Tensor) -> Tensor:
    return grey + deviation * noise.to(grey.device)


_TONES = {"exposure": _exposure, "contrast": _contrast, "blur": _blur, "noise": _noise}
