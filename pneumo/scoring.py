"""A bundle and a split -> scores table."""

from pathlib import Path

import pandas as pd

from pneumo import bundle, decision, ensemble, inference, packed, scores
from pneumo.errors import BundleError


def score(
    folder: Path, processed: Path, split: str, *, members: Path | None = None, accelerator: str = "auto"
) -> pd.DataFrame:
    """Scores of the model in `folder` on one split: pneumo.scores.COLUMNS.

    An ensemble's members are read from `members`/NAME, by default the members folder of its own. Its logit is the mean
    of theirs, each divided by its temperature.
    """
    contract = bundle.contract(folder)
    if contract["kind"] == "ensemble":
        home = members or folder / "members"
        of_members = {
            name: _logits(home / name, processed, split, accelerator, weights=sha256)
            for name, sha256 in contract["members"].items()
        }
        temperatures = {name: bundle.contract(home / name)["temperature"] for name in of_members}
        raw = ensemble.mean_logit(of_members, temperatures)
    else:
        raw = _logits(folder, processed, split, accelerator)
    return decision.calibrated(raw, contract["temperature"])


def _logits(folder: Path, processed: Path, split: str, accelerator: str, weights: str | None = None) -> pd.DataFrame:
    network, contract = inference.load(folder)
    if weights not in (None, contract["sha256"]["weights"]):
        raise BundleError(f"{folder} is not the network that the ensemble was made of: run `dvc repro`")
    part = packed.read(processed, split)
    if part.images.shape[1] != contract["image_size"]:
        raise BundleError(
            f"{folder} was trained on pixels of {contract['image_size']}, "
            f"and {processed} holds {part.images.shape[1]}: run `dvc repro`"
        )
    device = inference.device(accelerator)
    return scores.table(part.rows, inference.logits(network, part, input_size=contract["input_size"], device=device))
