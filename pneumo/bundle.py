"""A model's folder: model.safetensors with the weights, model.json with all that is needed to use them.

Training writes what it knows as training.json; calibration completes that to model.json, with the `views` whose mean a
score is (pneumo.augment.views). An ensemble has no weights of
its own: its model.json names its members.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

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
WITHOUT_EFFECT = ("pneumo.errors", "pneumo.runlog")  # exception names, and a log that is no output of the graph
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


def write_trained(folder: Path, state: Mapping[str, Any], contract: Mapping[str, Any]) -> None:
    """Write weights (name -> torch tensor) and training.json, with the weights' SHA-256 added."""
    from safetensors.torch import save_file  # needs torch, which readers of the contract alone do without

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.safetensors"
    path.unlink(missing_ok=True)  # DVC may have hard-linked it to its cache
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, path)
    with path.open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    write_json(folder / "training.json", {**contract, "sha256": {**contract["sha256"], "weights": weights}})


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # DVC may have hard-linked it to its cache
    path.write_text(json.dumps(content, indent=2) + "\n")


def trained(folder: Path) -> dict[str, Any]:
    """What training.json says. Raises BundleError where it is missing or incomplete."""
    return _read(folder / "training.json", TRAINING_KEYS)


def contract(folder: Path) -> dict[str, Any]:
    """What model.json says. Raises BundleError where it is missing or incomplete."""
    path = folder / "model.json"
    kind = _read(path, ("kind",))["kind"]
    return _read(path, ENSEMBLE_KEYS if kind == "ensemble" else (*TRAINING_KEYS, "views", *DECISION_KEYS))


def _read(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError) as error:
        raise BundleError(f"{path} is missing or not JSON: run `dvc repro`, or `dvc pull` it") from error
    missing = [key for key in keys if key not in found]
    if missing:
        raise BundleError(f"{path} lacks {missing[0]!r}: it was not written by this version of pneumo")
    return found
