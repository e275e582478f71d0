"""All checks of the data in one pass -> tables for people, metrics/data.json and the shortcut baseline's scores."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pneumo import files
from pneumo.audit import features, labels, near_duplicates, patients, shift, shortcut
from pneumo.audit.findings import FEW_LEVELS, findings
from pneumo.data import manifest, packed
from pneumo.data.listing import Raw
from pneumo.evaluation import decision, metrics, suspected
from pneumo.evaluation.evaluate import measure
from pneumo.preprocessing import copies, counts
from pneumo.scoring import scores

if TYPE_CHECKING:
    from pneumo.params import Bootstrap, Threshold

NAMED = 5  # images or pairs that metrics/data.json names; the tables have all


@dataclass(frozen=True)
class Audit:
    """summary: for metrics/data.json; val_scores, test_scores: the shortcut baseline's scores (scores.COLUMNS);
    shortcut: its metrics on test, as for a backbone; suspects: images with suspected labels (suspected.COLUMNS)."""

    summary: dict[str, Any]
    val_scores: pd.DataFrame
    test_scores: pd.DataFrame
    shortcut: dict[str, Any]
    suspects: pd.DataFrame


def audit(
    raw: Raw,
    processed: Path,
    out: Path,
    *,
    source: str,
    subset: int | None,
    threshold: "Threshold",
    bootstrap: "Bootstrap",
    prevalence: float,
) -> Audit:
    """Check `processed`, made from `raw`, and write the findings to `out` as CSV tables, each with a header, and the
    shortcut baseline as shortcut.json.

    source, subset: as in data; threshold, bootstrap: these sections; prevalence: for the shortcut baseline's metrics.
    It changes and refuses nothing: preprocess does that.
    """
    images = packed.read(processed)
    table, pixels = images.rows, images.images
    rejected = pd.read_csv(processed / "rejected.csv", keep_default_na=False, dtype=str)
    with threadpool_limits(1):  # sums of several threads differ in the last digits
        measured = features.measure(images, raw)
        fitted = shortcut.fit(table, measured)
        outputs = scores.table(table, shortcut.logits(fitted, measured))
        coefficients = shortcut.coefficients(fitted)
        tables = {
            "features": measured,
            "copies": copies.find(table, pixels),
            "near_duplicates": near_duplicates.find(table, pixels),
            "shift": shift.table(table, measured),
            "shortcut_coefficients": coefficients,
        }
        separability = shift.separability(table, measured)
        suspects = labels.suspected(table, pixels)
    policy = threshold.model_copy(update={"scores": "plain"})  # it sees no pixels
    validation, decided = decision.decide(outputs[table["split"] == "val"], None, policy)
    test = decision.calibrated(outputs[table["split"] == "test"], decided["temperature"])
    values = measure(
        test,
        decided["threshold"],
        thresholds=decision.redrawn_thresholds(validation, None, decided["temperature"], policy, bootstrap),
        validation=validation,
        stress_logits=None,
        temperature=decided["temperature"],
        prevalence=prevalence,
        suspected_images=suspects["image"],
        error_rates=policy.error_rates,
    )
    values["parameters"] = len(coefficients) + 1
    _write(tables, out)
    files.write_json(out / "shortcut.json", fitted | {key: decided[key] for key in ("temperature", "threshold")})
    summary = {
        "source": source,
        "left_out": raw.left_out(NAMED),
        **counts.received(table, rejected, subset),
        **counts.usable(table),
        "exact_duplicates": copies.summary(tables["copies"]),
        "manifest_sha256": manifest.digest(processed / "manifest.csv"),
        "parts_sha256": {split: _digest(rows) for split, rows in table.groupby("split")},
        "audit": {
            "near_duplicates": _near_duplicates(tables["near_duplicates"]),
            "patient_rule": {str(name): row for name, row in patients.sensitivity(table).to_dict("index").items()},
            "shortcut": _shortcut(values, coefficients),
            "shift": {"separability": separability, "largest": _largest(tables["shift"])},
            "suspected_labels": suspected.summary(suspects),
            "few_grey_levels": _few_grey_levels(table, pixels),
        },
    }
    summary["audit"]["findings"] = findings(summary)
    return Audit(summary, validation, test, values, suspects)


def _digest(rows: pd.DataFrame) -> str:
    """SHA-256 of the names and contents of one split's images: whether they are the same can be seen without pixels."""
    lines = [f"{row.sha256}  {row.image}\n" for row in rows.sort_values("image").itertuples()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _few_grey_levels(table: pd.DataFrame, pixels: NDArray[np.uint8]) -> dict[str, Any]:
    few = table["image"][features.grey_levels(pixels) < FEW_LEVELS]
    return {"images": len(few), "first": few.head(NAMED).tolist()}


def _write(tables: Mapping[str, pd.DataFrame], out: Path) -> None:
    for name, table in tables.items():
        table.to_csv(files.fresh(out / f"{name}.csv"), index=False, float_format="%.6g", lineterminator="\n")


def _near_duplicates(pairs: pd.DataFrame) -> dict[str, Any]:
    return near_duplicates.summary(pairs) | {"first": pairs[["image_a", "image_b"]].head(NAMED).values.tolist()}


def _shortcut(values: Mapping[str, Any], coefficients: pd.DataFrame) -> dict[str, Any]:
    return {
        "roc_auc": values["roc_auc"],
        "roc_auc_ci95": values["ci95"]["roc_auc"],
        "accuracy": values["accuracy"],
        "strongest": coefficients["feature"].head(3).tolist(),
    }


def _largest(shifts: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The feature that differs most between test and train, by class."""
    largest = {}
    for name in shift.CLASSES:
        rows = shifts[shifts["class"] == name].sort_values(
            "smd_test_train", key=lambda differences: -differences.abs(), kind="stable"
        )
        row = rows.iloc[0]
        measures = {key: metrics.rounded(row[key]) for key in ("smd_test_train", "smd_test_val", "smd_val_train")}
        largest[name] = {"feature": row["feature"], **measures}
    return largest
