"""The chosen model's outputs on another hospital's images -> its scores and metrics there."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumo import files
from pneumo.audit import features, shift
from pneumo.data import manifest, packed
from pneumo.evaluation import decision, metrics
from pneumo.external.measure import measure
from pneumo.external.subgroups import subgroups
from pneumo.models import bundle
from pneumo.scoring import scores

SHOWN = 8  # features of an image, those that differ most
SHIFTED = (*features.EXPOSURE, *features.BORDERS)  # which do not depend on the file format


def evaluate(
    name: str, data: Path, best: Path, outputs: Path, scores_folder: Path, metrics_folder: Path, *, prevalence: float
) -> dict[str, Any]:
    """Score the data set `name` with the temperature and threshold of the model in `best`; returns its metrics.

    `data`: has processed/ and external/NAME/processed/. `outputs`: has the logits, NAME.csv. `scores_folder`: has the
    model's scores on the internal test set. `prevalence`: of pneumonia, for ppv and npv.
    """
    model_json = bundle.model_json(best)
    internal = scores.read_scores(scores_folder / "test" / f"{model_json['name']}.csv")
    here = packed.read_split(data / "external" / name / "processed", "test")
    there = packed.read_split(data / "processed", "test")
    columns = [column for column in here.rows.columns if column not in manifest.COLUMNS]
    path = scores_folder / "external" / f"{name}.csv"
    scored = decision.calibrated(scores.read_logits(outputs / f"{name}.csv"), model_json["temperature"])
    details = here.rows[["image", *columns]]
    scores.write(scored.merge(details, on="image", validate="one_to_one"), path, details=columns)
    table = scores.read_scores(path)  # with the digits that are in git
    values = {
        "model": model_json["name"],
        **measure(
            table,
            internal,
            threshold=model_json["threshold"],
            temperature=model_json["temperature"],
            prevalence=prevalence,
        ),
        "subgroups": subgroups(table.merge(details, on="image"), columns, threshold=model_json["threshold"]),
        "image_shift": image_shift(here, there),
        "manifest_sha256": manifest.digest(data / "external" / name / "processed" / "manifest.csv"),
    }
    files.write_json(metrics_folder / "external" / f"{name}.json", values)
    return values


def image_shift(here: packed.Split, there: packed.Split) -> list[dict[str, Any]]:
    """How exposure and borders differ from the internal test set, in standard deviations, the largest first."""
    first, second = (_measured(split) for split in (here, there))
    rows = [
        {
            "feature": feature,
            "internal": metrics.rounded(second[feature].mean()),
            "external": metrics.rounded(first[feature].mean()),
            "smd": metrics.rounded(shift.standardised_difference(first[feature], second[feature])),
        }
        for feature in SHIFTED
    ]
    return sorted(rows, key=lambda row: -abs(row["smd"] or 0))[:SHOWN]


def _measured(split: packed.Split) -> dict[str, NDArray[np.float64]]:
    blocks = [
        features.grey_values(split.pixels(slice(start, start + features.BLOCK)))
        for start in range(0, len(split), features.BLOCK)
    ]
    return {feature: np.concatenate([block[feature] for block in blocks]) for feature in SHIFTED}
