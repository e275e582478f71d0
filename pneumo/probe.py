"""The first step of fine-tuning: a logistic regression on features of the pretrained network, which then is its head.

Features are computed once, without augmentation, and kept in a folder that git and DVC ignore: whatever is tried with
the head afterwards takes seconds.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from pneumo import augment, packed
from pneumo.backbones import Network
from pneumo.curves import say

KEPT = 12  # files; the oldest are deleted
ITERATIONS = 2_000
BATCH_SIZE = 64


def initialise_head(
    network: Network,
    part: packed.Part,
    *,
    input_size: int,
    strength: float,
    balanced: bool,
    device: torch.device,
    cache: Path,
    depends_on: Mapping[str, Any],
) -> None:
    """Give `network` the head that a logistic regression finds on its features of `part`.

    strength: inverse of the regularisation (C of scikit-learn), on features with mean 0 and variance 1. depends_on: all
    that the features follow from; those of the very same are taken from `cache`.
    """
    about = {
        **depends_on,
        "input_size": input_size,
        "images": list(part.rows["image"]),
        "threads": torch.get_num_threads(),
    }
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    path = cache / f"{key}.npy"
    if path.is_file():
        say(f"linear probe: features from {path}")
        found = np.load(path)
    else:
        found = features(network, part, input_size=input_size, device=device)
        _keep(found, path)
    weights = "balanced" if balanced else None
    regression = LogisticRegression(C=strength, class_weight=weights, max_iter=ITERATIONS)
    fitted = make_pipeline(StandardScaler(), regression).fit(found, part.labels.astype(int))
    scaler, line = fitted[0], fitted[1]
    weight = line.coef_[0] / scaler.scale_
    bias = line.intercept_[0] - weight @ scaler.mean_
    linear = cast(nn.Linear, network.head[1])
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weight).view(1, -1))
        linear.bias.fill_(float(bias))
    say(f"linear probe: {found.shape[1]} features of {len(found)} images, C {strength:g}, training accuracy "
        f"{fitted.score(found, part.labels.astype(int)):.3f}")  # fmt: skip


@torch.inference_mode()
def features(network: Network, part: packed.Part, *, input_size: int, device: torch.device) -> NDArray[np.float32]:
    """What the head of `network` is given for each row of `part`: float32 [n, F]."""
    network = network.to(device).eval()
    found = []
    for start in range(0, len(part), BATCH_SIZE):
        pixels = torch.from_numpy(part.pixels(slice(start, start + BATCH_SIZE))).to(device)
        found.append(network.features(augment.resize(pixels, input_size)).float().cpu())
    network.train()
    return torch.cat(found).numpy()


def _keep(found: NDArray[np.float32], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")  # of several processes each writes its own
    with part.open("wb") as file:
        np.save(file, found)
    part.replace(path)  # never half a file under this name
    for old in sorted(path.parent.glob("*.npy"), key=lambda one: one.stat().st_mtime)[:-KEPT]:
        old.unlink()
