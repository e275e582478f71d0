"""Per-sample augmentation of a batch on whatever device it is on, and the plain resize that scoring uses."""

import math

import kornia.augmentation as K
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def resize(pixels: Tensor, size: int) -> Tensor:
    """Packed pixels, uint8 [B, S, S] -> float [B, 1, size, size] in [0, 1], antialiased, no randomness."""
    grey = pixels.unsqueeze(1).float() / 255
    if grey.shape[-1] == size:
        return grey
    return F.interpolate(grey, (size, size), mode="bilinear", antialias=True).clamp(0, 1)


class Augmentation(nn.Module):
    """Packed pixels, uint8 [B, S, S] -> randomly changed float [B, 1, size, size] in [0, 1], each sample its own way.

    rotate: degrees. area: share of the field that a crop keeps. aspect: of the crop, up to this or its inverse.
    brightness: added, up to ± this. contrast: a factor of 1 ± this. gamma: up to this or its inverse. flip, blur,
    noise: probabilities. Randomness comes from torch's generator of the device.

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
        flip: float,
        brightness: float,
        contrast: float,
        gamma: float,
        blur: float,
        noise: float,
    ) -> None:
        super().__init__()
        self.between = math.ceil(size / area[0] ** 0.25)
        self.changes = nn.Sequential(
            K.RandomAffine(rotate, p=float(rotate > 0)),
            K.RandomResizedCrop((size, size), scale=area, ratio=(1 / aspect, aspect), cropping_mode="resample"),
            K.RandomHorizontalFlip(flip),
            K.RandomBrightness((1 - brightness, 1 + brightness), p=float(brightness > 0)),
            K.RandomContrast((1 - contrast, 1 + contrast), p=float(contrast > 0)),
            _RandomGamma(gamma),
            K.RandomGaussianBlur((5, 5), (0.1, 2.0), p=blur),
            K.RandomGaussianNoise(std=0.05, p=noise),
        )

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        with torch.autocast(pixels.device.type, enabled=False):
            grey = resize(pixels, min(self.between, pixels.shape[-1]))
            return self.changes(grey).clamp(0, 1)


class _RandomGamma(nn.Module):
    """Exponent uniform in its logarithm, so that lighter and darker are equally likely."""

    def __init__(self, gamma: float) -> None:
        super().__init__()
        self.bound = math.log(gamma)

    def forward(self, grey: Tensor) -> Tensor:
        exponent = torch.empty(len(grey), 1, 1, 1, device=grey.device).uniform_(-self.bound, self.bound).exp()
        return grey.clamp(0, 1).pow(exponent)
