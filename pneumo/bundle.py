"""A model's folder: model.safetensors with the weights, model.json with all that is needed to use them."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pneumo.errors import BundleError

KEYS = (
    "name",
    "architecture",
    "image_size",
    "input_size",
    "normalisation",
    "dropout",
    "labels",
    "threshold",
    "threshold_policy",
    "parameters",
    "weights",
    "sha256",
    "versions",
)
LIBRARIES = ("torch", "torchvision", "timm", "lightning", "kornia")


def versions() -> dict[str, str]:
    """Versions of the libraries that a result depends on."""
    return {name: version(name) for name in LIBRARIES}


def write(folder: Path, state: Mapping[str, Any], contract: Mapping[str, Any]) -> None:
    """Write weights (name -> torch tensor) and contract."""
    from safetensors.torch import save_file  # needs torch, which readers of the contract alone do without

    missing = [key for key in KEYS if key not in contract]
    if missing:
        raise BundleError(f"{folder}: the contract lacks {missing[0]!r}")
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, folder / "model.safetensors"
    )
    (folder / "model.json").write_text(json.dumps(contract, indent=2) + "\n")


def contract(folder: Path) -> dict[str, Any]:
    """What model.json says. Raises BundleError where it is missing or incomplete."""
    path = folder / "model.json"
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError) as error:
        raise BundleError(f"{path} is missing or not JSON: run `dvc repro`, or `dvc pull` it") from error
    missing = [key for key in KEYS if key not in found]
    if missing:
        raise BundleError(f"{path} lacks {missing[0]!r}: it was not written by this version of pneumo")
    return found
