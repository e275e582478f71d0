"""config.json and preprocessor_config.json: model.json in the words of the Hub, for programs that look there."""

import json
from pathlib import Path
from typing import Any

from pneumo.serving.contract import MODEL, Contract

LANCZOS = 1  # PIL.Image.Resampling.LANCZOS, as transformers counts them
BACKBONE = ("architecture", "input_size", "pool", "stages", "dropout")


def config(folder: Path, contract: Contract) -> dict[str, Any]:
    """Of the exported model in `folder`. `input_size`: of what model.onnx takes; `backbone`: of the torch network."""
    normal, pneumonia = contract.labels
    homes = {name: folder / "members" / name for name in contract.members or ()} or {contract.name: folder}
    backbones = {name: _backbone(home / MODEL) for name, home in homes.items()}
    return {
        "library_name": "pneumo",
        "name": contract.name,
        "architecture": "ensemble" if contract.members else backbones[contract.name]["architecture"],
        "num_classes": 1,
        "output": "logit of pneumonia before calibration",
        "id2label": {"0": normal, "1": pneumonia},
        "label2id": {normal: 0, pneumonia: 1},
        "input_size": [1, contract.image_size, contract.image_size],
        "input_dtype": "uint8",
        "temperature": contract.temperature,
        "threshold": contract.threshold,
        **({"backbones": backbones} if contract.members else {"backbone": backbones[contract.name]}),
    }


def preprocessor(contract: Contract) -> dict[str, Any]:
    """How a film becomes what model.onnx takes, which does the rest itself."""
    side = {"height": contract.image_size, "width": contract.image_size}
    return {
        "do_convert_grayscale": True,
        "do_resize": True,
        "size": side,
        "resample": LANCZOS,
        "fit": contract.fit,
        "do_pad": contract.fit == "pad",
        "do_center_crop": False,
        "do_rescale": False,
        "do_normalize": False,
    }


def _backbone(path: Path) -> dict[str, Any]:
    """mean, std: of grey values in [0, 1], which the network repeats over its channels."""
    model_json = json.loads(path.read_text(encoding="utf-8"))
    normalisation = model_json["normalisation"]
    about = {key: model_json[key] for key in BACKBONE}
    return {**about, "mean": normalisation["mean"], "std": normalisation["std"], "views": model_json["views"]}
