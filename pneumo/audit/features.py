"""What can be seen of an image without looking at the lungs: its file, its exposure, its borders."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo.data import packed
from pneumo.data.listing import Raw
from pneumo.shards import Films

FILE = ("width", "height", "aspect_ratio", "file_size")
EXPOSURE = ("mean", "contrast")
SIDES = ("top", "bottom", "left", "right")
CORNERS = ("top_left", "top_right", "bottom_left", "bottom_right")
BORDERS = (*(f"border_{side}" for side in SIDES), *(f"corner_{corner}" for corner in CORNERS), "border_contrast")
PIXELS = (*EXPOSURE, *BORDERS)  # which do not depend on the file format
FEATURES = (*FILE, *PIXELS)
# Wide enough for a letter or burnt-in text at the edge, too narrow to reach the lungs of a tightly framed child.
BORDER = 0.06  # of a side
BLOCK = 256  # images held at once


def measure(images: packed.Split, raw: Raw) -> pd.DataFrame:
    """`image` and FEATURES, in the order of `images`, whose files are in `raw`.

    width and height in pixels as received, file_size in bytes; the rest in grey values 0..255 of the packed pixels,
    contrast being a standard deviation. Raises ManifestError where a file is missing.
    """
    rows, films = images.rows, Films(raw)
    return pd.DataFrame(
        {
            "image": rows["image"].to_numpy(),
            "width": rows["width"].to_numpy(),
            "height": rows["height"].to_numpy(),
            "aspect_ratio": rows["width"].to_numpy() / rows["height"].to_numpy(),
            "file_size": [films.size(image) for image in rows["image"]],
        }
        | of_pixels(images)
    )


def of_pixels(images: packed.Split) -> dict[str, NDArray[np.float64]]:
    """PIXELS of each image, in blocks, so that memory is bounded."""
    blocks = [grey_values(images.pixels(slice(start, start + BLOCK))) for start in range(0, len(images), BLOCK)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in PIXELS}


def grey_levels(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How many different grey values each image has, [N]."""
    return np.array([np.count_nonzero(np.bincount(image.ravel(), minlength=256)) for image in pixels])


def grey_values(pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    x = pixels.astype(float)
    side = x.shape[-1]
    wide = max(1, round(BORDER * side))
    first, last = slice(0, wide), slice(side - wide, side)
    features = {"mean": x.mean(axis=(1, 2)), "contrast": x.std(axis=(1, 2))}
    edges = (x[:, first], x[:, last], x[:, :, first], x[:, :, last])
    corners = (x[:, first, first], x[:, first, last], x[:, last, first], x[:, last, last])
    features |= {f"border_{name}": edge.mean(axis=(1, 2)) for name, edge in zip(SIDES, edges, strict=True)}
    features |= {f"corner_{name}": corner.mean(axis=(1, 2)) for name, corner in zip(CORNERS, corners, strict=True)}
    ring = np.ones((side, side), dtype=bool)
    ring[wide : side - wide, wide : side - wide] = False
    return features | {"border_contrast": x[:, ring].std(axis=1)}
