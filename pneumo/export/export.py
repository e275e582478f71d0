"""The selected model -> models/best: weights, ONNX, and inputs with the logits that they must give."""

import shutil
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pneumo import files
from pneumo.data import packed
from pneumo.errors import ExportError
from pneumo.explain import grad_cam
from pneumo.export import guard, network
from pneumo.export.on_request import on_request
from pneumo.models import bundle
from pneumo.serving import contract
from pneumo.serving.model import Session

OPSET = 18
REFERENCES = 4  # inputs that whoever loads the model tries it with


@dataclass(frozen=True)
class Exported:
    """references: how many inputs were tried. without_heat: why the model gives no heat map; empty where it does."""

    references: int
    without_heat: str


def export(
    selected: Path, processed: Path, best: Path, *, film_views: Sequence[str] | None, phantoms: bool = False
) -> Exported:
    """Fill the folder `best` with all that `selected` has, and with model.onnx, reference.json, guard.npz, fitted on
    the training images of `processed`, and the model.json that names them.

    film_views: of the films that the model was trained on, None for all. phantoms: these were drawn by a program.
    Raises ExportError where ONNX Runtime does not give the logits of torch within contract.TOLERANCE.
    """
    model_json = bundle.model_json(selected)
    shutil.rmtree(best, ignore_errors=True)  # DVC may have hard-linked its files to its cache
    shutil.copytree(selected, best)
    size = contract.packed_size(selected)
    inputs = contract.reference_inputs(size, REFERENCES)
    logits, without_heat = _write_checked(selected, inputs, best / contract.ONNX)
    reference: dict[str, Any] = {
        "seed": contract.SEED,
        "count": REFERENCES,
        "logits": [float(f"{logit:.6g}") for logit in logits],
    }
    if not without_heat:
        _, heat = Session(best / contract.ONNX).with_heat(inputs)
        reference["heat"] = contract.heat_parts(heat).round(4).tolist()
    files.write_json(best / contract.REFERENCE, reference)
    about = {
        "format": contract.FORMAT,
        "image_size": size,
        "fit": contract.fit(selected),
        "film_views": film_views,
        "phantoms": phantoms,
    }
    train, val = (packed.read_split(processed, split).pixels(slice(None)) for split in ("train", "val"))
    fitted = guard.fit(train, val)
    (best / contract.GUARD).write_bytes(fitted.guard.to_bytes())
    guarded = {"sha256": files.sha256(best / contract.GUARD), "limit": fitted.limit, "flagged": guard.FLAGGED}
    onnx = {
        "opset": OPSET,
        "sha256": files.sha256(best / contract.ONNX),
        "tolerance": contract.TOLERANCE,
        "heat": not without_heat,
    }
    files.write_json(files.fresh(best / "model.json"), {**model_json, **about, "onnx": onnx, "guard": guarded})
    return Exported(REFERENCES, without_heat)


def _write_checked(selected: Path, inputs: NDArray[np.uint8], path: Path) -> tuple[NDArray[np.float32], str]:
    """Write model.onnx to `path`, with heat where it can be had. The logits of `inputs`, and why there is no heat."""
    size = inputs.shape[-1]
    model = network.load(selected)
    with torch.inference_mode():
        logits = model(torch.from_numpy(inputs)).numpy()
    try:
        _write(network.load(selected, heat=True), size, path, heat=True)
        _require_same_heat(path, inputs, selected)
    except Exception as error:  # of torch's tracer and exporter, for operations that they do not know
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        _write(model, size, path, heat=False)
    else:
        reason = ""
    _require_parity(path, inputs, logits)
    return logits, reason


def _write(model: torch.nn.Module, size: int, path: Path, *, heat: bool) -> None:
    """The same bytes wherever it is written: without the exporter's notes on where the code lies."""
    import onnx

    example = torch.zeros(2, size, size, dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter about its own future
        whole = Path(folder, "model.onnx")
        torch.onnx.export(
            model,
            (example,),
            whole,
            dynamo=True,
            opset_version=OPSET,
            input_names=["pixels"],
            output_names=["logit", *([contract.HEAT] if heat else [])],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
        exported = onnx.load(whole)
    for entry in (exported, exported.graph, *exported.graph.node, *exported.graph.value_info, *exported.functions):
        entry.ClearField("metadata_props")
        entry.ClearField("doc_string")
    if heat:
        on_request(exported, contract.HEAT, contract.WITH_HEAT, (size, size))
    onnx.checker.check_model(exported)
    files.fresh(path).write_bytes(exported.SerializeToString(deterministic=True))


def _require_parity(path: Path, inputs: NDArray[np.uint8], logits: NDArray[np.float32]) -> None:
    found = Session(path).logits(inputs)
    worst = float(np.abs(found - logits).max())
    if not worst <= contract.TOLERANCE:
        raise ExportError(
            f"ONNX Runtime gives logits that differ from torch's by up to {worst:.2g}; expected at most "
            f"{contract.TOLERANCE:g}. This is a bug: please report the architecture, and use another one meanwhile"
        )


def _require_same_heat(path: Path, inputs: NDArray[np.uint8], selected: Path) -> None:
    """As grad_cam computes it, with torch's own gradients."""
    cpu = torch.device("cpu")
    folders = network.folders(selected)
    expected = grad_cam.mean_map([grad_cam.maps_of(grad_cam.load_member(home, cpu), inputs, cpu) for home in folders])
    _, heat = Session(path).with_heat(inputs)
    worst = float(np.abs(contract.heat_parts(heat) - contract.heat_parts(expected.astype(np.float32))).max())
    if not worst <= contract.HEAT_TOLERANCE:
        raise ExportError(f"ONNX Runtime gives a heat map that differs from torch's by up to {worst:.2g}")
