"""What a trained network says of a split: logits, before calibration."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pneumo.errors import BundleError
from pneumo.models import bundle, runtime
from pneumo.scoring import inference, scores, stress

if TYPE_CHECKING:
    from pneumo.params import Views


def predict(folder: Path, processed: Path, out: Path, *, candidate: str, views: "Views", accelerator: str) -> None:
    """Write the logits of the trained network in `folder`, a replicate of `candidate`, to the files that
    scores.paths names below `out`.

    stress: of the validation images under each perturbation. An output is the mean over `views`. Nothing is fitted
    here, so that the validation outputs cannot depend on the test images.
    """
    training_json = bundle.training_json(folder)
    written = scores.paths(out, candidate, training_json["name"])
    scorer = _scorer(folder, training_json, views.model_dump(), accelerator)
    val, test = (inference.read_split(folder, training_json, processed, split) for split in ("val", "test"))
    scores.write(scores.table(val.rows, scorer.logits(val)), written["val"])
    stress.write(stress.table(val.rows, scorer.stress_logits(val)), written["stress"])
    scores.write(scores.table(test.rows, scorer.logits(test)), written["test"])


def logits(
    folder: Path, processed: Path, split: str, *, members: Path | None = None, accelerator: str = "auto"
) -> pd.DataFrame:
    """The outputs of the model in `folder` on one split: scores.RAW_COLUMNS.

    The members of an ensemble are read from `members`/NAME, by default the members folder of its own. Its logit is the
    mean of theirs, each divided by its temperature.
    """
    model_json = bundle.model_json(folder)
    if model_json["kind"] != "ensemble":
        return _of_backbone(folder, processed, split, accelerator)
    home = members or folder / "members"
    of_members = {}
    for name, sha256 in model_json["members"].items():
        if bundle.model_json(home / name)["sha256"]["weights"] != sha256:
            raise BundleError(f"{home / name} is not the network that the ensemble was built from: run `dvc repro`")
        of_members[name] = _of_backbone(home / name, processed, split, accelerator)
    temperatures = {name: bundle.model_json(home / name)["temperature"] for name in of_members}
    return scores.mean_logit(of_members, temperatures)


def _of_backbone(folder: Path, processed: Path, split: str, accelerator: str) -> pd.DataFrame:
    model_json = bundle.model_json(folder)
    images = inference.read_split(folder, model_json, processed, split)
    scorer = _scorer(folder, model_json, model_json["views"], accelerator)
    return scores.table(images.rows, scorer.logits(images))


def _scorer(
    folder: Path, model_json: Mapping[str, Any], views: Mapping[str, Any], accelerator: str
) -> inference.Scorer:
    network, device = inference.load(folder, model_json), runtime.device(accelerator)
    return inference.Scorer(network, model_json["input_size"], views, device)
