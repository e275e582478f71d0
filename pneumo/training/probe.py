"""The first step of fine-tuning: a logistic regression on features of the pretrained network, which then is its head.

Features are computed once, without augmentation, and kept in a folder that git and DVC ignore, or with the checkpoints
where several clones share these: whatever is tried with the head afterwards takes seconds.
"""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pneumo.data import packed
from pneumo.models.backbones import Network
from pneumo.models.pixels import resize
from pneumo.training import balance
from pneumo.training.fingerprint import digest
from pneumo.training.progress import say

if TYPE_CHECKING:
    from pneumo.params import Backbone, Training

KEPT = 12  # files; the oldest are deleted
ITERATIONS = 2_000
BATCH_SIZE = 64


def initialise_head(
    network: Network,
    train_split: packed.Split,
    backbone: "Backbone",
    training: "Training",
    device: torch.device,
    *,
    cache: Path,
    depends_on: Mapping[str, Any],
) -> None:
    """Give `network` the head that a logistic regression finds on its features of `train_split`.

    backbone.probe: inverse of the regularisation (C of scikit-learn), on features with mean 0 and variance 1.
    depends_on: all that the features follow from; those of the very same are taken from `cache`.
    """
    from sklearn.linear_model import LogisticRegression  # takes seconds, and few runs have a probe
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    about = {
        **depends_on,
        "input_size": backbone.input_size,
        "pool": backbone.pool,
        "stages": backbone.stages,
        "images": list(train_split.rows["image"]),
        "threads": torch.get_num_threads(),
    }
    path = cache / f"{digest(about)[:16]}.npy"
    if path.is_file():
        say(f"linear probe: features from {path}")
        values = np.load(path)
    else:
        values = features(network, train_split, input_size=backbone.input_size, device=device)
        _cache(values, path)
    assert backbone.probe
    regression = LogisticRegression(C=backbone.probe, max_iter=ITERATIONS)
    labels = train_split.labels.astype(int)
    weights = len(values) * balance.shares(train_split.rows, training.imbalance)
    pipeline = make_pipeline(StandardScaler(), regression).fit(
        values, labels, logisticregression__sample_weight=weights
    )
    scaler = pipeline[0]
    weight = regression.coef_[0] / scaler.scale_
    bias = regression.intercept_[0] - weight @ scaler.mean_
    linear = cast(nn.Linear, network.head[1])
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weight).view(1, -1))
        linear.bias.fill_(float(bias))
    say(f"linear probe: {values.shape[1]} features of {len(values)} images, C {backbone.probe:g}, training accuracy "
        f"{pipeline.score(values, labels):.3f}")  # fmt: skip


def features(network: Network, split: packed.Split, *, input_size: int, device: torch.device) -> NDArray[np.float32]:
    """What the head of `network` is given for each row of `split`: float32 [n, F]."""
    network = network.to(device).eval()  # outside of inference mode, in which copies on a GPU could not be trained
    values = []
    with torch.inference_mode():
        for start in range(0, len(split), BATCH_SIZE):
            pixels = torch.from_numpy(split.pixels(slice(start, start + BATCH_SIZE))).to(device)
            values.append(network.features(resize(pixels, input_size)).float().cpu())
    network.train()
    return torch.cat(values).numpy()


def _cache(values: NDArray[np.float32], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{platform.node()}-{os.getpid()}.part")  # each process its own
    with part.open("wb") as file:
        np.save(file, values)
    part.replace(path)  # never half a file under this name
    for old in sorted(path.parent.glob("*.npy"), key=lambda file: file.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)  # another process may have been first
