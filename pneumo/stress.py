"""Stress validation: a model's outputs on validation images under fixed perturbations.

Ordinary validation comes from where the training images come from, and likes a model that leans on how these are framed
or exposed. The perturbations are a table, the same for every model and run; pneumo.perturb applies them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pneumo import scores
from pneumo.errors import ManifestError
from pneumo.manifest import require_columns

STRENGTHS = {
    "zoom": (0.9, 0.8, 0.7),  # share of each side that is kept, about the centre
    "shift": (0.05, 0.1),  # of each side, towards one of four corners; what is uncovered mirrors what is beside it
    "aspect": (1.15, 1.3),  # one side is cropped by this factor
    "exposure": (1.3, 1.6),  # exponent of the grey values, or its inverse
    "contrast": (1.3, 1.6),  # factor about the mean, or its inverse
    "blur": (0.01, 0.02),  # standard deviation, in sides of the image
    "noise": (0.04, 0.08),  # standard deviation, of grey values in [0, 1]
}
PERTURBATIONS = tuple((kind, strength) for kind, strengths in STRENGTHS.items() for strength in strengths)
NAMES = tuple(f"{kind} {strength:g}" for kind, strength in PERTURBATIONS)
COLUMNS = (*scores.KEY_COLUMNS, *NAMES)


def table(rows: pd.DataFrame, logits: ArrayLike) -> pd.DataFrame:
    """Rows of a manifest and the model's outputs [n, K] under the K PERTURBATIONS -> COLUMNS, six digits."""
    found = rows.loc[:, list(scores.KEY_COLUMNS)].reset_index(drop=True)
    values = np.asarray(logits, dtype=float)
    return found.assign(**{name: scores.six_digits(values[:, at]) for at, name in enumerate(NAMES)})


def write(stressed: pd.DataFrame, path: Path) -> None:
    """Write COLUMNS, sorted by image: logits before calibration, six significant digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # DVC may have hard-linked it to its cache
    ordered = stressed.sort_values("image").loc[:, list(COLUMNS)]
    ordered.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def read(path: Path) -> pd.DataFrame:
    """COLUMNS of the file at `path`. Raises ManifestError where it is missing or breaks the contract."""
    if not path.is_file():
        raise ManifestError(f"{path} is missing: run `dvc repro`")
    with path.open(encoding="utf-8", newline="") as text:
        return parse(text, str(path))


def parse(text: TextIO, where: str) -> pd.DataFrame:
    """COLUMNS of an open file. Raises ManifestError, which names `where`, where it breaks the contract."""
    found = pd.read_csv(text, dtype={"image": str, "patient": str}, keep_default_na=False)
    require_columns(found, COLUMNS, where)
    for name in NAMES:
        values = pd.to_numeric(found[name], errors="coerce")
        odd = found.loc[~np.isfinite(values), "image"]
        if len(odd):
            raise ManifestError(f"{where}: {name} of {odd.iloc[0]} is not a number")
        found[name] = values
    return found.loc[:, list(COLUMNS)]


def pooled(stressed: pd.DataFrame) -> pd.DataFrame:
    """All perturbed images as one table, pneumo.scores.RAW_COLUMNS: each image comes once for each perturbation."""
    keys = list(scores.KEY_COLUMNS)
    long = stressed.melt(keys, list(NAMES), "perturbation", "logit", ignore_index=True)
    return long.loc[:, list(scores.RAW_COLUMNS)]


def mean_logit(stressed: Mapping[str, pd.DataFrame], temperatures: Mapping[str, float]) -> pd.DataFrame:
    """COLUMNS of an ensemble: the mean over its members of each logit divided by the member's temperature."""
    scores.same_images(dict(stressed), "the members of the ensemble under stress")
    mean = np.mean([one[list(NAMES)].to_numpy() / temperatures[name] for name, one in stressed.items()], axis=0)
    return table(next(iter(stressed.values())), mean)
