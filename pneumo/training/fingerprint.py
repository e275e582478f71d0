"""What a training run depends on, as hashes: for training.json, and to name its checkpoints and features."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pneumo import files
from pneumo.data import manifest
from pneumo.models import bundle

if TYPE_CHECKING:
    from pneumo.params import Augment, Backbone, Training


def of_run(
    processed: Path, backbone: "Backbone", augment: "Augment", training: "Training", weights_sha256: str, *, seed: int
) -> dict[str, str]:
    """SHA-256 of data, parameters, code and starting weights (empty when from scratch)."""
    params = {"model": backbone.model_dump(), "augment": augment.model_dump(), "train": training.model_dump()}
    params["train"]["seed"] = seed
    return {
        "manifest": manifest.digest(processed / "manifest.csv"),
        "params": digest(params),
        "code": bundle.code_sha256(),
        "starting_weights": weights_sha256,
    }


def of_checkpoints(processed: Path, run: Mapping[str, str], device: torch.device) -> dict[str, Any]:
    """What the bytes of a run depend on, besides pneumo.models.runtime. `run`: as `of_run` gives it."""
    return {
        "pixels": files.sha256(processed / "images.npy"),
        "versions": bundle.versions(),
        "device": device.type,
        **run,
    }


def of_features(processed: Path, architecture: str, run: Mapping[str, str], device: torch.device) -> dict[str, Any]:
    """What the features of a network depend on before it is trained."""
    depends_on = of_checkpoints(processed, run, device)
    return {"architecture": architecture, **{key: value for key, value in depends_on.items() if key != "params"}}


def digest(values: Mapping[str, Any]) -> str:
    """SHA-256 of values that JSON can hold, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=dict).encode()).hexdigest()
