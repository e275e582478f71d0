"""A model's folder: model.safetensors with the weights, model.json with all that is needed to use them.

Training writes what it knows as training.json; calibration completes that to model.json, with the `views` whose mean a
score is. An ensemble has no weights of its own: its model.json names its members.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pneumo import files
from pneumo.errors import BundleError

TRAINING_KEYS = (
    "name",
    "kind",
    "architecture",
    "image_size",
    "input_size",
    "normalisation",
    "dropout",
    "labels",
    "parameters",
    "flops",
    "weights",
    "sha256",
    "versions",
)
DECISION_KEYS = ("temperature", "threshold", "threshold_policy")
ENSEMBLE_KEYS = ("name", "kind", "members", "labels", "parameters", "flops", "weights", "sha256", *DECISION_KEYS)
WITHOUT_EFFECT = ("pneumo.errors", "pneumo.params")  # exception names; parameters are hashed by their values
LIBRARIES = ("torch", "torchvision", "timm", "lightning", "kornia")


def versions() -> dict[str, str]:
    """Versions of the libraries that a result depends on."""
    return {name: version(name) for name in LIBRARIES}


def code_sha256() -> str:
    """SHA-256 over the library's modules that this process has loaded: the code that a stage ran."""
    digest = hashlib.sha256()
    for name, module in sorted(sys.modules.items()):
        if name.startswith("pneumo.") and name not in WITHOUT_EFFECT and module.__file__:
            digest.update(name.encode() + Path(module.__file__).read_bytes())
    return digest.hexdigest()


def write_trained(folder: Path, state: Mapping[str, Any], model_json: Mapping[str, Any]) -> None:
    """Write weights (name -> torch tensor) and training.json, with the weights' SHA-256 added."""
    from safetensors.torch import save_file  # needs torch, which readers of the contract alone do without

    path = files.fresh(folder / "model.safetensors")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, path)
    with path.open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    files.write_json(folder / "training.json", {**model_json, "sha256": {**model_json["sha256"], "weights": weights}})


def training_json(folder: Path) -> dict[str, Any]:
    """What training.json says. Raises BundleError where it is missing or incomplete."""
    return _read(folder / "training.json", TRAINING_KEYS)


def model_json(folder: Path) -> dict[str, Any]:
    """What model.json says. Raises BundleError where it is missing or incomplete."""
    path = folder / "model.json"
    kind = _read(path, ("kind",))["kind"]
    return _read(path, ENSEMBLE_KEYS if kind == "ensemble" else (*TRAINING_KEYS, "views", *DECISION_KEYS))


def copy(folder: Path, to: Path) -> None:
    """Copy what it takes to use the model in `folder`."""
    to.mkdir(parents=True, exist_ok=True)
    for name in ("model.json", "model.safetensors"):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, to / name)


def _read(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError) as error:
        raise BundleError(f"{path} is missing or not JSON: run `dvc repro`, or `dvc pull` it") from error
    missing = [key for key in keys if key not in content]
    if missing:
        raise BundleError(f"{path} lacks {missing[0]!r}: it was not written by this version of pneumo")
    return content
