"""A bundle and a split -> scores table."""

from pathlib import Path

import pandas as pd

from pneumo import bundle, decision, ensemble, inference, scores
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
    contract = bundle.contract(folder)
    if weights not in (None, contract["sha256"]["weights"]):
        raise BundleError(f"{folder} is not the network that the ensemble was made of: run `dvc repro`")
    part = inference.part(folder, contract, processed, split)
    found = inference.logits(
        inference.load(folder, contract),
        part,
        input_size=contract["input_size"],
        views=contract["views"],
        device=inference.device(accelerator),
    )
    return scores.table(part.rows, found)
