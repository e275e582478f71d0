"""A model's folder: model.safetensors with the weights, model.json with all that is needed to use them.

Training writes what it knows as training.json; calibration completes that to model.json, with the `views` whose mean a
score is. An ensemble has no weights of its own: its model.json names its members.
"""

import hashlib
import json
import math
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
    "fit",
    "input_size",
    "normalisation",
    "dropout",
    "pool",
    "stages",
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


def weights_name(weights: str) -> str:
    """model.NAME.weights without the folders of this machine, and without the hash that it may name."""
    return Path(weights).name if weights.endswith(".safetensors") else weights.partition("#")[0]


def code_sha256() -> str:
    """SHA-256 over the library's modules that this process has loaded: the code that a stage ran."""
    digest = hashlib.sha256()
    for name, module in sorted(sys.modules.items()):
        if name.startswith("pneumo.") and not name.startswith(WITHOUT_EFFECT) and module.__file__:
            digest.update(name.encode() + Path(module.__file__).read_bytes())
    return digest.hexdigest()


def write_trained(folder: Path, state: Mapping[str, Any], model_json: Mapping[str, Any]) -> None:
    """Write weights (name -> torch tensor) and training.json, with the weights' SHA-256 added."""
    from safetensors.torch import save_file  # needs torch, which readers of the contract alone do without

    path = files.fresh(folder / "model.safetensors")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, path)
    sha256 = {**model_json["sha256"], "weights": files.sha256(path)}
    files.write_json(folder / "training.json", {**model_json, "sha256": sha256})


def training_json(folder: Path) -> dict[str, Any]:
    """What training.json says. Raises BundleError where it is missing or incomplete."""
    return _read(folder / "training.json", TRAINING_KEYS)


def model_json(folder: Path) -> dict[str, Any]:
    """What model.json says. Raises BundleError where it is missing or incomplete."""
    path = folder / "model.json"
    kind = _read(path, ("kind",))["kind"]
    return _read(path, ENSEMBLE_KEYS if kind == "ensemble" else (*TRAINING_KEYS, "views", *DECISION_KEYS))


def weights(folder: Path, model_json: Mapping[str, Any]) -> Path:
    """The file of the weights in `folder`. Raises BundleError where it is missing or is not what `model_json` names."""
    path = folder / "model.safetensors"
    if not path.is_file():
        raise BundleError(f"{path} is missing: run `dvc repro`, or `dvc pull` it")
    sha256, expected = files.sha256(path), model_json["sha256"]["weights"]
    if sha256 != expected:
        raise BundleError(
            f"{path} is damaged or of another model: its SHA-256 is {sha256}, and {folder} was trained with "
            f"{expected}. Get it anew with `dvc checkout --force {path}`, or run `dvc repro`"
        )
    return path


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
    _check_numbers(content, path)
    return content


# name -> its smallest and largest value, both allowed; a threshold above every score may be just over 1
_RANGES = {
    "temperature": (1e-6, 1e6),
    "threshold": (0.0, 1.000001),
    "dropout": (0.0, 1.0),
    "pool": (1, 1_000),
    "image_size": (1, 100_000),
    "input_size": (1, 100_000),
    "parameters": (1, math.inf),
    "flops": (0, math.inf),
    "mean": (-100, 100),
    "std": (1e-6, 100),
}


def _check_numbers(value: Any, path: Path, name: str = "") -> None:
    """Raise BundleError for a number that is not finite or not in the range of its name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_numbers(inner, path, key)
    elif isinstance(value, list):
        for inner in value:
            _check_numbers(inner, path, name)
    elif value is None and name == "input_size":
        pass  # an ensemble's members may take inputs of several sizes
    elif isinstance(value, (int, float)) or name in _RANGES:
        low, high = _RANGES.get(name, (-math.inf, math.inf))
        if not isinstance(value, (int, float)) or not (math.isfinite(value) and low <= value <= high):
            raise BundleError(
                f"{path}: {name} is {value}; expected a number from {low:g} to {high:g}. Get the file anew with "
                "`dvc checkout`, or run `dvc repro`"
            )
