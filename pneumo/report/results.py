"""All that the report joins: choice, metrics, scores, curves, audit, pixels. pneumo.report.reading fills it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pneumo.data import manifest, packed
from pneumo.evaluation.metrics import METRICS
from pneumo.evaluation.over_seeds import in_best

CALIBRATION = {
    "temperature": "temperature",
    **{metric.key: metric.words.removeprefix("calibration ") for metric in METRICS if metric.group == "calibration"},
}


@dataclass(frozen=True)
class Results:
    """`metrics` by name of the candidate, in the order of the choice, means over seeds where there are several; those
    of the shortcut baseline apart. `shown`: candidate -> the one of its models whose scores are drawn: that of
    models/best, and of the others the replicate with the median validation score. `figures`, `test` and `validation`:
    of these models, by name of the candidate. `external`, `elsewhere`: metrics and scores of models/best by name of the
    other data set. `choice`, `data`, `explained`, `ablation`, `model_json`: choice.json, data.json and so on.
    `guard`: what the guard of models/best flags, metrics/guard.json. `history`: model, epoch and the columns of CURVES.
    `audit`: the tables of data/audit by their names. `suspects`: the images with suspected labels, suspected.COLUMNS.
    """

    choice: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]
    shown: Mapping[str, str]
    figures: Mapping[str, Mapping[str, Any]]
    test: Mapping[str, pd.DataFrame]
    validation: Mapping[str, pd.DataFrame]
    external: Mapping[str, Mapping[str, Any]]
    elsewhere: Mapping[str, pd.DataFrame]
    baseline: Mapping[str, Any]
    baseline_test: pd.DataFrame
    data: Mapping[str, Any]
    audit: Mapping[str, pd.DataFrame]
    suspects: pd.DataFrame
    guard: Mapping[str, Any]
    history: pd.DataFrame
    explained: Mapping[str, Any]
    ablation: Mapping[str, Any]
    model_json: Mapping[str, Any]
    params: str
    root: Path

    @property
    def selected(self) -> str:
        """Name of the candidate that select_best selected."""
        return self.choice["model"]

    @property
    def best(self) -> Mapping[str, Any]:
        """Metrics of the model in models/best on the test set."""
        return self.figures[self.selected]

    @property
    def replicates(self) -> Mapping[str, Mapping[str, Any]]:
        """Of the selected candidate, by their names; empty where it has one seed."""
        return self.metrics[self.selected].get("replicates", {})

    @property
    def winner(self) -> Mapping[str, Any]:
        """The content of metrics/best.json."""
        metrics, name = self.metrics[self.selected], self.shown[self.selected]
        of_ensemble = None if name in self.replicates else self.best
        added = in_best(metrics, name, of_ensemble) if self.replicates else {}
        return {"model": self.selected, **metrics, **added}

    @property
    def phantom(self) -> bool:
        """Whether the images were drawn by a program."""
        return self.data["source"] == "phantom"

    @property
    def params_sha256(self) -> str:
        return hashlib.sha256(self.params.encode()).hexdigest()

    @property
    def features(self) -> pd.DataFrame:
        """The audit's features with split and label of each image."""
        rows = manifest.read_manifest(self.root / "data/processed/manifest.csv")[["image", "split", "label"]]
        return rows.merge(self.audit["features"], on="image", validate="one_to_one")

    def elsewhere_split(self, name: str) -> packed.Split:
        """Pixels and manifest rows of another hospital's data set."""
        return packed.read_split(self.root / "data/external" / name / "processed", "test")

    def split(self, split: str) -> packed.Split:
        """Pixels and manifest rows of one split."""
        return packed.read_split(self.root / "data/processed", split)
