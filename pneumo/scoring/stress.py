"""Stress validation: a model's outputs on validation images under fixed perturbations.

Ordinary validation comes from where the training images come from, and likes a model that leans on how these are framed
or exposed. The perturbations are a table, the same for every model and run; perturb applies them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pneumo import files
from pneumo.data.manifest import require_columns
from pneumo.errors import ManifestError
from pneumo.models.perturbations import NAMES
from pneumo.scoring import scores

COLUMNS = (*scores.KEY_COLUMNS, *NAMES)


def table(rows: pd.DataFrame, logits: ArrayLike) -> pd.DataFrame:
    """Rows of a manifest and the model's outputs [n, K] under the K PERTURBATIONS -> COLUMNS, six digits."""
    keys = rows.loc[:, list(scores.KEY_COLUMNS)].reset_index(drop=True)
    values = np.asarray(logits, dtype=float)
    return keys.assign(**{name: scores.six_digits(values[:, at]) for at, name in enumerate(NAMES)})


def write(stress_logits: pd.DataFrame, path: Path) -> None:
    """Write COLUMNS, sorted by image: logits before calibration, six significant digits."""
    ordered = stress_logits.sort_values("image").loc[:, list(COLUMNS)]
    ordered.to_csv(files.fresh(path), index=False, float_format="%.6g", lineterminator="\n")


def read_stress(path: Path) -> pd.DataFrame:
    """COLUMNS of the file at `path`. Raises ManifestError where it is missing or breaks the contract."""
    if not path.is_file():
        raise ManifestError(f"{path} is missing: run `dvc repro`")
    with path.open(encoding="utf-8", newline="") as text:
        return parse(text, str(path))


def parse(text: TextIO, where: str) -> pd.DataFrame:
    """COLUMNS of an open file. Raises ManifestError, which names `where`, where it breaks the contract."""
    table = pd.read_csv(text, dtype={"image": str, "patient": str}, keep_default_na=False)
    require_columns(table, COLUMNS, where)
    for name in NAMES:
        values = pd.to_numeric(table[name], errors="coerce")
        invalid = table.loc[~np.isfinite(values), "image"]
        if len(invalid):
            raise ManifestError(f"{where}: {name} of {invalid.iloc[0]} is not a number")
        table[name] = values
    return table.loc[:, list(COLUMNS)]


def pooled(stress_logits: pd.DataFrame) -> pd.DataFrame:
    """All perturbed images as one table, scores.RAW_COLUMNS: each image comes once for each perturbation."""
    keys = list(scores.KEY_COLUMNS)
    long = stress_logits.melt(keys, list(NAMES), "perturbation", "logit", ignore_index=True)
    return long.loc[:, list(scores.RAW_COLUMNS)]


def mean_logit(stress_logits: Mapping[str, pd.DataFrame], temperatures: Mapping[str, float]) -> pd.DataFrame:
    """COLUMNS of an ensemble: the mean over its members of each logit divided by the member's temperature."""
    scores.same_images(dict(stress_logits), "the members of the ensemble under stress")
    mean = np.mean(
        [logits[list(NAMES)].to_numpy() / temperatures[name] for name, logits in stress_logits.items()], axis=0
    )
    return table(next(iter(stress_logits.values())), mean)
