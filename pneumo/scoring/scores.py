"""The scores table: what a model says of each image, in a form that is small, exact and kept in git."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pneumo import files
from pneumo.data.manifest import require_columns
from pneumo.errors import ManifestError

KEY_COLUMNS = ("image", "patient", "label", "subtype")
COLUMNS = (*KEY_COLUMNS, "score", "logit")
RAW_COLUMNS = (*KEY_COLUMNS, "logit")


def table(rows: pd.DataFrame, logits: ArrayLike) -> pd.DataFrame:
    """Rows of a manifest and the model's output for each -> RAW_COLUMNS, with the digits that `write` keeps, so that
    whoever reads them back computes the same numbers.
    """
    return rows.loc[:, list(KEY_COLUMNS)].assign(logit=six_digits(logits))


def paths(out: Path, candidate: str, name: str) -> dict[str, Path]:
    """val, stress and test -> where below `out` the logits of the network `name` are: a folder for each candidate."""
    return {kind: out / kind / candidate / f"{name}.csv" for kind in ("val", "stress", "test")}


def six_digits(values: ArrayLike) -> NDArray[np.float64]:
    """`values` rounded to six significant digits, as they are written."""
    return np.array([float(f"{value:.6g}") for value in np.asarray(values, dtype=float)])


def write(scored: pd.DataFrame, path: Path, *, details: Sequence[str] = ()) -> None:
    """Write image, patient, label, subtype, score (calibrated probability of pneumonia, where there is one), logit (the
    model's output before calibration) and the columns `details`: sorted by image, six significant digits.
    """
    columns = [*(column for column in COLUMNS if column in scored.columns), *details]
    ordered = scored.sort_values("image").loc[:, columns]
    ordered.to_csv(files.fresh(path), index=False, float_format="%.6g", lineterminator="\n")


def read_scores(path: Path) -> pd.DataFrame:
    """The scores at `path`, COLUMNS. Raises ManifestError where they are missing or break the contract."""
    return _read(path, COLUMNS)


def details(text: TextIO) -> pd.DataFrame:
    """`image` and what else a scores table has besides COLUMNS, such as view and age, as text."""
    table = pd.read_csv(text, dtype=str, keep_default_na=False)
    return table[["image", *(column for column in table.columns if column not in COLUMNS)]]


def read_logits(path: Path) -> pd.DataFrame:
    """The uncalibrated outputs at `path`, RAW_COLUMNS. Raises ManifestError like `read`."""
    return _read(path, RAW_COLUMNS)


def same_images(tables: dict[str, pd.DataFrame], where: str) -> None:
    """Raise ManifestError unless all tables have the same images, patients and labels in the same order."""
    first = next(iter(tables))
    for name, table in tables.items():
        if not table[list(KEY_COLUMNS)].equals(tables[first][list(KEY_COLUMNS)]):
            raise ManifestError(f"{where}: {name} and {first} are not of the same images: run `dvc repro`")


def mean_logit(raw: Mapping[str, pd.DataFrame], temperatures: Mapping[str, float]) -> pd.DataFrame:
    """RAW_COLUMNS of the ensemble: the mean over `raw` of each logit divided by its temperature."""
    same_images(dict(raw), "the members of the ensemble")
    calibrated = [outputs["logit"].to_numpy() / temperatures[name] for name, outputs in raw.items()]
    first = next(iter(raw.values()))
    return table(first, np.mean(calibrated, axis=0))


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    if not path.is_file():
        raise ManifestError(f"{path} is missing: run `dvc repro`")
    with path.open(encoding="utf-8", newline="") as text:
        return parse(text, str(path), columns)


def parse(text: TextIO, where: str, columns: Sequence[str]) -> pd.DataFrame:
    """`columns` of a scores table. Raises ManifestError, which names `where`, if it breaks the contract."""
    table = pd.read_csv(text, dtype={"image": str, "patient": str}, keep_default_na=False)
    require_columns(table, columns, where)
    if not table["image"].is_unique:
        raise ManifestError(f"{where}: {table['image'][table['image'].duplicated()].iloc[0]} has two scores")
    invalid = table.loc[~table["label"].isin([0, 1]), "image"]
    if len(invalid):
        raise ManifestError(f"{where}: the label of {invalid.iloc[0]} is neither 0 nor 1")
    numbers = {column: pd.to_numeric(table[column], errors="coerce") for column in columns if column not in KEY_COLUMNS}
    for column, values in numbers.items():
        invalid = table.loc[~np.isfinite(values), "image"]
        if len(invalid):
            raise ManifestError(f"{where}: the {column} of {invalid.iloc[0]} is not a number")
    if "score" in numbers and not numbers["score"].between(0, 1).all():
        invalid = table.loc[~numbers["score"].between(0, 1), "image"]
        raise ManifestError(f"{where}: the score of {invalid.iloc[0]} is not a probability in [0, 1]")
    return table.assign(**numbers).loc[:, list(columns)]
