"""Per-sample changes of a batch on whatever device it is on, and the plain resize that scoring uses.

Rotation, crop, shift and mirror are one map and the pixels are sampled once. Of kornia come local contrast, blur and
erasing; its own pipeline samples the pixels anew for each change, which takes longer (benchmarks/augment.py).
"""

import math
from collections.abc import Sequence

import kornia.augmentation
import kornia.enhance
import kornia.filters
import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLIP, TILES = 3.0, (4, 4)  # of local contrast: CLAHE
BLUR = (0.1, 2.0)  # standard deviation, pixels of the network's input
NOISE = 0.05  # standard deviation, of grey values in [0, 1]
ERASED = (0.02, 0.2)  # share of the image


def resize(pixels: Tensor, size: int) -> Tensor:
    """Packed pixels, uint8 [B, S, S] -> float [B, 1, size, size] in [0, 1], antialiased, no randomness."""
    return shrink(pixels.unsqueeze(1).float() / 255, size)


def shrink(grey: Tensor, size: int) -> Tensor:
    """The same for [B, 1, S, S] in [0, 1]."""
    if grey.shape[-1] == size:
        return grey
    return F.interpolate(grey, (size, size), mode="bilinear", antialias=True).clamp(0, 1)


def warp(grey: Tensor, theta: Tensor, size: int, padding: str = "zeros") -> Tensor:
    """[B, 1, S, S] -> [B, 1, size, size], sampled through affine maps, theta [B, 2, 3] of F.affine_grid."""
    grid = F.affine_grid(theta, [len(grey), 1, size, size], align_corners=False)
    return F.grid_sample(grey, grid, padding_mode=padding, align_corners=False)


def views(grey: Tensor, *, flip: bool, zooms: Sequence[float]) -> list[Tensor]:
    """[B, 1, H, H] as it is scored: each of `zooms`, shares of the side that is seen, enlarged; all also mirrored."""
    seen = []
    for zoom in zooms:
        theta = torch.tensor([[zoom, 0.0, 0.0], [0.0, zoom, 0.0]], device=grey.device).expand(len(grey), 2, 3)
        seen.append(grey if zoom == 1 else warp(grey, theta, grey.shape[-1]))
    return [*seen, *(one.flip(-1) for one in seen)] if flip else seen


class Augmentation(nn.Module):
    """Packed pixels, uint8 [B, S, S] -> randomly changed float [B, 1, size, size] in [0, 1], each sample its own way.

    rotate: degrees. area: share of the field that a crop keeps, anywhere inside it. aspect: of the crop, up to this or
    its inverse. shift: of the crop beyond the border, up to this share of the field. brightness: added, up to ± this.
    contrast: a factor of 1 ± this about the mean. gamma: up to this or its inverse. flip, local_contrast (CLAHE), blur,
    noise, erase: probabilities. Randomness comes from torch's generator of the device.

    The pixels are first resized with antialiasing, as for scoring, to a size at which the widest crop is shrunk as
    much as the narrowest is enlarged. Always in float32: autocast would displace the sampling grid.
    """

    def __init__(
        self,
        size: int,
        *,
        rotate: float,
        area: tuple[float, float],
        aspect: float,
        shift: float,
        flip: float,
        brightness: float,
        contrast: float,
        gamma: float,
        local_contrast: float,
        blur: float,
        noise: float,
        erase: float,
    ) -> None:
        super().__init__()
        self.size, self.between = size, math.ceil(size / area[0] ** 0.25)
        self.rotate, self.area, self.aspect, self.shift, self.flip = math.radians(rotate), area, aspect, shift, flip
        self.brightness, self.contrast, self.gamma = brightness, contrast, gamma
        self.local_contrast, self.blur, self.noise = local_contrast, blur, noise
        self.erasing = kornia.augmentation.RandomErasing(p=erase, scale=ERASED) if erase else nn.Identity()

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        with torch.autocast(pixels.device.type, enabled=False):
            grey = resize(pixels, min(self.between, pixels.shape[-1]))
            grey = self._tones(warp(grey, self._maps(len(grey), grey.device), self.size))
            for probability, change in (
                (self.local_contrast, _local_contrast),
                (self.blur, _blurred),
                (self.noise, _with_noise),
            ):
                if probability:
                    chosen = torch.rand(len(grey), device=grey.device) < probability
                    if chosen.any():
                        grey[chosen] = change(grey[chosen])
            return self.erasing(grey.clamp(0, 1))

    def _maps(self, count: int, device: torch.device) -> Tensor:
        """Where each sample is taken from: the crop is placed in the field, mirrored or not, and the field turned."""

        def within(low: float, high: float) -> Tensor:
            return torch.empty(count, device=device).uniform_(low, high)

        side, stretch = within(*self.area).sqrt(), (within(-1, 1) * math.log(self.aspect) / 2).exp()
        wide, high = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
        right = within(-1, 1) * (1 - wide) + within(-2, 2) * self.shift
        down = within(-1, 1) * (1 - high) + within(-2, 2) * self.shift
        wide = torch.where(within(0, 1) < self.flip, -wide, wide)
        angle = within(-1, 1) * self.rotate
        cos, sin = angle.cos(), angle.sin()
        rows = (cos * wide, -sin * high, cos * right - sin * down, sin * wide, cos * high, sin * right + cos * down)
        return torch.stack(rows, dim=1).view(count, 2, 3)

    def _tones(self, grey: Tensor) -> Tensor:
        """Contrast, brightness, then gamma, uniform in the logarithm: lighter and darker are equally likely."""
        change = torch.empty(3, len(grey), 1, 1, 1, device=grey.device).uniform_(-1, 1)
        mean = grey.mean(dim=(1, 2, 3), keepdim=True)
        grey = (grey - mean) * (1 + self.contrast * change[0]) + mean + self.brightness * change[1]
        return grey.clamp(0, 1).pow((math.log(self.gamma) * change[2]).exp())


def _local_contrast(grey: Tensor) -> Tensor:
    """Part of the way to CLAHE, for each sample another part."""
    share = torch.rand(len(grey), 1, 1, 1, device=grey.device)
    return grey.lerp(kornia.enhance.equalize_clahe(grey, clip_limit=CLIP, grid_size=TILES), share)


def _blurred(grey: Tensor) -> Tensor:
    sigma = torch.empty(len(grey), 1, device=grey.device).uniform_(*BLUR).expand(-1, 2)
    return kornia.filters.gaussian_blur2d(grey, (5, 5), sigma)


def _with_noise(grey: Tensor) -> Tensor:
    return grey + NOISE * torch.randn_like(grey)
