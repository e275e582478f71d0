"""Packed pixels as a network takes them: resized, warped, and the views of test-time augmentation (TTA)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


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


def tta_views(grey: Tensor, *, flip: bool, zooms: Sequence[float]) -> list[Tensor]:
    """[B, 1, H, H] as it is scored: each of `zooms`, shares of the side that is seen, enlarged; all also mirrored."""
    views = []
    for zoom in zooms:
        theta = torch.tensor([[zoom, 0.0, 0.0], [0.0, zoom, 0.0]], device=grey.device).expand(len(grey), 2, 3)
        views.append(grey if zoom == 1 else warp(grey, theta, grey.shape[-1]))
    return [*views, *(view.flip(-1) for view in views)] if flip else views
