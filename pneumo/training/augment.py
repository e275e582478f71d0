"""Augmentation: random changes to each sample of a batch, on whatever device it is on.

Rotation, crop, shift and mirror are one map and the pixels are sampled once. Of kornia come local contrast, blur and
erasing; its own pipeline samples the pixels anew for each change, which takes longer (benchmarks/augment.py).
"""

import math
from typing import TYPE_CHECKING

import kornia.augmentation
import kornia.enhance
import kornia.filters
import torch
from torch import Tensor, nn

from pneumo.models.pixels import resize, warp

if TYPE_CHECKING:
    from pneumo.params import Augment

CLIP, TILES = 3.0, (4, 4)  # of local contrast: CLAHE
BLUR = (0.001, 0.021)  # standard deviation, in sides of the image: the same at every size of the input
NOISE = 0.05  # standard deviation, of grey values in [0, 1]
ERASED = (0.02, 0.2)  # share of the image


class Augmentation(nn.Module):
    """Packed pixels, uint8 [B, S, S] -> randomly changed float [B, 1, size, size] in [0, 1], each sample its own way.

    rotate: degrees. area: share of the field that a crop keeps, anywhere inside it. aspect: of the crop, up to this or
    its inverse. shift: of the crop beyond the border, up to this share of the field. brightness: added, up to ± this.
    contrast: a factor of 1 ± this about the mean. gamma: up to this or its inverse. flip, local_contrast (CLAHE), blur,
    noise, erase: probabilities. Randomness comes from torch's generator of the device.

    The pixels are first resized with antialiasing, as for scoring, to a size at which the widest crop is shrunk as
    much as the narrowest is enlarged. Always in float32: autocast would displace the sampling grid.
    """

    def __init__(self, size: int, augment: "Augment") -> None:
        super().__init__()
        self.size, self.between = size, math.ceil(size / augment.area[0] ** 0.25)
        self.augment = augment
        self.erasing = kornia.augmentation.RandomErasing(p=augment.erase, scale=ERASED) if augment.erase else None

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        with torch.autocast(pixels.device.type, enabled=False):
            grey = resize(pixels, min(self.between, pixels.shape[-1]))
            grey = self._tones(warp(grey, self._maps(len(grey), grey.device), self.size))
            for probability, change in (
                (self.augment.local_contrast, _local_contrast),
                (self.augment.blur, _blurred),
                (self.augment.noise, _with_noise),
            ):
                if probability:
                    chosen = torch.rand(len(grey), device=grey.device) < probability
                    if chosen.any():
                        grey[chosen] = change(grey[chosen])
            grey = grey.clamp(0, 1)
            return self.erasing(grey) if self.erasing else grey

    def _maps(self, count: int, device: torch.device) -> Tensor:
        """Where each sample is taken from: the crop is placed in the field, mirrored or not, and the field turned."""

        def within(low: float, high: float) -> Tensor:
            return torch.empty(count, device=device).uniform_(low, high)

        side, stretch = within(*self.augment.area).sqrt(), (within(-1, 1) * math.log(self.augment.aspect) / 2).exp()
        wide, high = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
        right = within(-1, 1) * (1 - wide) + within(-2, 2) * self.augment.shift
        down = within(-1, 1) * (1 - high) + within(-2, 2) * self.augment.shift
        wide = torch.where(within(0, 1) < self.augment.flip, -wide, wide)
        angle = within(-1, 1) * math.radians(self.augment.rotate)
        cos, sin = angle.cos(), angle.sin()
        rows = (cos * wide, -sin * high, cos * right - sin * down, sin * wide, cos * high, sin * right + cos * down)
        return torch.stack(rows, dim=1).view(count, 2, 3)

    def _tones(self, grey: Tensor) -> Tensor:
        """Contrast, brightness, then gamma, uniform in the logarithm: lighter and darker are equally likely."""
        change = torch.empty(3, len(grey), 1, 1, 1, device=grey.device).uniform_(-1, 1)
        mean = grey.mean(dim=(1, 2, 3), keepdim=True)
        grey = (grey - mean) * (1 + self.augment.contrast * change[0]) + mean + self.augment.brightness * change[1]
        return grey.clamp(0, 1).pow((math.log(self.augment.gamma) * change[2]).exp())


def _local_contrast(grey: Tensor) -> Tensor:
    """Part of the way to CLAHE, for each sample another part."""
    share = torch.rand(len(grey), 1, 1, 1, device=grey.device)
    return grey.lerp(kornia.enhance.equalize_clahe(grey, clip_limit=CLIP, grid_size=TILES), share)


def _blurred(grey: Tensor) -> Tensor:
    side = grey.shape[-1]
    sigma = (side * torch.empty(len(grey), 1, device=grey.device).uniform_(*BLUR)).expand(-1, 2)
    width = 2 * math.ceil(2 * side * BLUR[1]) + 1  # two standard deviations to either side
    return kornia.filters.gaussian_blur2d(grey, (width, width), sigma)


def _with_noise(grey: Tensor) -> Tensor:
    return grey + NOISE * torch.randn_like(grey)
