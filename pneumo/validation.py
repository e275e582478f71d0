"""A trained network and the validation part -> its outputs, plain and under perturbations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pneumo import bundle, inference, scores, stress


def validate(folder: Path, processed: Path, *, views: Mapping[str, Any], accelerator: str) -> None:
    """Write validation.csv and stress.csv, outputs before calibration, beside the network in `folder`.

    `views`: the section of params.yaml; the mean over them is the output.
    """
    contract = bundle.trained(folder)
    part = inference.part(folder, contract, processed, "val")
    network, device = inference.load(folder, contract), inference.device(accelerator)
    common: dict[str, Any] = {"input_size": contract["input_size"], "views": views, "device": device}
    scores.write(scores.table(part.rows, inference.logits(network, part, **common)), folder / "validation.csv")
    stress.write(stress.table(part.rows, inference.stressed_logits(network, part, **common)), folder / "stress.csv")
