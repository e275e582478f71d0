"""The chosen model's outputs on another hospital's images -> its scores and metrics there, and those of the shortcut
baseline beside it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pneumo import files
from pneumo.audit import features, shift, shortcut
from pneumo.data import manifest, packed
from pneumo.data.listing import Raw
from pneumo.evaluation import decision, metrics, selected
from pneumo.evaluation.evaluate import figures
from pneumo.external import readable
from pneumo.external.measure import measure
from pneumo.external.subgroups import subgroups
from pneumo.models import bundle
from pneumo.scoring import scores

SHOWN = 8  # features of an image, those that differ most


def evaluate(
    name: str, data: Path, best: Path, outputs: Path, scores_folder: Path, metrics_folder: Path, *, prevalence: float
) -> dict[str, Any]:
    """Score the data set `name` with the temperature and threshold of the model in `best`, and with the shortcut
    baseline and its own; returns the metrics, the baseline's as `shortcut`.

    `data`: has processed/, audit/ and external/NAME/. `outputs`: has the logits, NAME.csv. `scores_folder`: has the
    model's scores on the internal test set. `prevalence`: of pneumonia, for ppv and npv.
    """
    model_json = bundle.model_json(best)
    internal = selected.scores_of(best, scores_folder / "test")
    folder = data / "external" / name
    here, there = (packed.read_split(processed, "test") for processed in (folder / "processed", data / "processed"))
    measured = features.measure(here, Raw(folder / "raw"))
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
        "shortcut": _shortcut(
            here.rows,
            measured,
            shortcut.read(data / "audit/shortcut.json"),
            scores_folder / "external/shortcut" / f"{name}.csv",
            prevalence=prevalence,
        ),
        "readable_without_lungs": _readable(here.rows, measured, scores_folder / "external/exposure" / f"{name}.csv"),
        "subgroups": subgroups(table.merge(details, on="image"), columns, threshold=model_json["threshold"]),
        "image_shift": image_shift(measured, pd.DataFrame(features.of_pixels(there))),
        "manifest_sha256": manifest.digest(folder / "processed/manifest.csv"),
    }
    files.write_json(metrics_folder / "external" / f"{name}.json", values)
    return values


def _shortcut(
    rows: pd.DataFrame, measured: pd.DataFrame, fitted: Mapping[str, Any], path: Path, *, prevalence: float
) -> dict[str, Any]:
    """Write to `path` what the baseline `fitted` scores; returns its metrics. `measured`: features of the manifest's
    `rows`.
    """
    threshold, temperature = fitted["threshold"], fitted["temperature"]
    logits = scores.table(rows, shortcut.logits(fitted, measured))
    scores.write(decision.calibrated(logits, temperature), path)
    return figures(scores.read_scores(path), threshold, temperature=temperature, prevalence=prevalence)


def _readable(rows: pd.DataFrame, measured: pd.DataFrame, path: Path) -> dict[str, Any]:
    """Write to `path` what exposure and borders alone score, out of fold; returns how well they tell the classes."""
    scores.write(decision.calibrated(scores.table(rows, readable.logits(rows, measured)), 1.0), path)
    return readable.without_lungs(scores.read_scores(path))


def image_shift(here: pd.DataFrame, there: pd.DataFrame) -> list[dict[str, Any]]:
    """How the features features.PIXELS differ from the internal test set, in standard deviations, the largest first."""
    rows = [
        {
            "feature": feature,
            "internal": metrics.rounded(there[feature].mean()),
            "external": metrics.rounded(here[feature].mean()),
            "smd": metrics.rounded(shift.standardised_difference(here[feature].to_numpy(), there[feature].to_numpy())),
        }
        for feature in features.PIXELS
    ]
    return sorted(rows, key=lambda row: -abs(row["smd"] or 0))[:SHOWN]
