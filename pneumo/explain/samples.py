"""The contact sheet: training images as the network is shown them."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from pneumo import files
from pneumo.data import packed
from pneumo.models.pixels import resize

if TYPE_CHECKING:
    from pneumo.training.augment import Augmentation

ROWS, COLUMNS, GAP = 4, 9, 3  # images; the original and its augmentations; pixels between tiles
SIDE = 96  # pixels of a tile


def write(processed: Path, out: Path, augmentation: "Augmentation", *, seed: int) -> None:
    """A PNG: some training images of both classes, each unchanged and in eight augmentations; without mixup."""
    train = packed.read_split(processed, "train")
    rng = np.random.default_rng(seed)
    by_class = [rng.permutation(np.flatnonzero(train.labels == label))[: ROWS // 2] for label in (0, 1)]
    rows = np.sort(np.concatenate(by_class))
    torch.manual_seed(seed)
    pixels = torch.from_numpy(train.pixels(rows.tolist()))
    columns = [resize(pixels, augmentation.size), *(augmentation(pixels) for _ in range(COLUMNS - 1))]
    step = SIDE + GAP
    sheet = Image.new("L", (COLUMNS * step - GAP, len(rows) * step - GAP), 255)
    for x, column in enumerate(columns):
        for y, grey in enumerate(column):
            tile = Image.fromarray((grey[0].numpy() * 255).round().astype(np.uint8))
            sheet.paste(tile.resize((SIDE, SIDE), Image.Resampling.BICUBIC), (x * step, y * step))
    sheet.save(files.fresh(out), optimize=True)
