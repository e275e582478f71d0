"""The selected model -> models/best: weights, ONNX, and inputs with the logits that they must give."""

import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pneumo import files
from pneumo.data import packed
from pneumo.errors import ExportError
from pneumo.export import guard, network
from pneumo.models import bundle
from pneumo.serving import contract

OPSET = 18
REFERENCES = 4  # inputs that whoever loads the model tries it with


def export(selected: Path, processed: Path, best: Path, *, film_views: Sequence[str] | None) -> dict[str, Any]:
    """Fill the folder `best` with all that `selected` has, and with model.onnx, reference.json, guard.npz, fitted on
    the training images of `processed`, and the model.json that names them.

    film_views: of the films that the model was trained on, None for all. Returns the content of reference.json.
    Raises ExportError where ONNX Runtime does not give the logits of torch within contract.TOLERANCE.
    """
    model_json = bundle.model_json(selected)
    shutil.rmtree(best, ignore_errors=True)  # DVC may have hard-linked its files to its cache
    shutil.copytree(selected, best)
    model, size = network.load(selected), contract.packed_size(selected)
    path = best / contract.ONNX
    _write(model, size, path)
    inputs = contract.reference_inputs(size, REFERENCES)
    with torch.inference_mode():
        logits = model(torch.from_numpy(inputs)).numpy()
    _require_parity(path, inputs, logits)
    reference = {"seed": contract.SEED, "count": REFERENCES, "logits": [float(f"{logit:.6g}") for logit in logits]}
    files.write_json(best / contract.REFERENCE, reference)
    about = {
        "format": contract.FORMAT,
        "image_size": size,
        "fit": contract.fit(selected),
        "film_views": film_views,
    }
    train, val = (packed.read_split(processed, split).pixels(slice(None)) for split in ("train", "val"))
    fitted = guard.fit(train, val)
    (best / contract.GUARD).write_bytes(fitted.guard.to_bytes())
    guarded = {"sha256": files.sha256(best / contract.GUARD), "limit": fitted.limit, "flagged": guard.FLAGGED}
    onnx = {"opset": OPSET, "sha256": files.sha256(path), "tolerance": contract.TOLERANCE}
    files.write_json(files.fresh(best / "model.json"), {**model_json, **about, "onnx": onnx, "guard": guarded})
    return reference


def _write(model: torch.nn.Module, size: int, path: Path) -> None:
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
            output_names=["logit"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
        exported = onnx.load(whole)
    for entry in (exported, exported.graph, *exported.graph.node, *exported.graph.value_info, *exported.functions):
        entry.ClearField("metadata_props")
        entry.ClearField("doc_string")
    onnx.checker.check_model(exported)
    files.fresh(path).write_bytes(exported.SerializeToString(deterministic=True))


def _require_parity(path: Path, inputs: NDArray[np.uint8], logits: NDArray[np.float32]) -> None:
    from pneumo.serving.model import Session

    found = Session(path).logits(inputs)
    worst = float(np.abs(found - logits).max())
    if not worst <= contract.TOLERANCE:
        raise ExportError(
            f"ONNX Runtime gives logits that differ from torch's by up to {worst:.2g}; expected at most "
            f"{contract.TOLERANCE:g}. This is a bug: please report the architecture, and use another one meanwhile"
        )
