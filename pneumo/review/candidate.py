"""A model as one commit has it: its metrics and scores, believed only where they agree."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pneumo.errors import ManifestError, ReviewError
from pneumo.evaluation import metrics
from pneumo.evaluation.drawn import Drawn
from pneumo.review.changes import mapping
from pneumo.review.snapshot import Snapshot
from pneumo.scoring import scores

METRICS = ("roc_auc", "average_precision", "accuracy", "recall", "specificity", "precision", "f1")
COLUMNS = (*scores.KEY_COLUMNS, "score")
DIGIT = 1.5e-6  # committed figures have six digits


@dataclass(frozen=True)
class Model:
    """`validation`, `test`: COLUMNS, sorted by image. `metrics`: METRICS on the test part as metrics/ has them."""

    name: str
    metrics: Mapping[str, float]
    threshold: float
    validation: pd.DataFrame
    test: pd.DataFrame


def candidates(snapshot: Snapshot) -> list[str]:
    """Names of the backbones and ensembles of params.yaml; files of others may lie about and count for nothing."""
    params = mapping(snapshot, "params.yaml")
    found = []
    for section in ("model", "ensembles"):
        named = params.get(section) or {}
        if not isinstance(named, dict) or not all(isinstance(name, str) for name in named):
            raise ReviewError(f"{snapshot.where('params.yaml')}: {section} is no mapping of names")
        found += list(named)
    return found


def chosen(snapshot: Snapshot) -> str:
    """The model that metrics/best.json names. Raises ReviewError where its figures are not that model's."""
    best = mapping(snapshot, "metrics/best.json")
    where = snapshot.where("metrics/best.json")
    if not best:
        raise ReviewError(f"{snapshot.label} has no metrics/best.json: no results of the pipeline are committed there")
    name = best.pop("model", None)
    if not isinstance(name, str):
        raise ReviewError(f"{where} names no model")
    own = mapping(snapshot, f"metrics/{name}.json")
    odd = [key for key in {*best, *own} if best.get(key) != own.get(key)]
    if odd:
        raise ReviewError(f"{where} names {name}, and its {min(odd)} is not that of metrics/{name}.json")
    return name


def read_candidate(snapshot: Snapshot, name: str) -> Model:
    """Raises ReviewError where a file is missing or broken, or the metrics are not those of the scores."""
    path = f"metrics/{name}.json"
    tables = []
    for part in ("val", "test"):
        at = f"scores/{part}/{name}.csv"
        text = snapshot.text(at)
        try:
            tables.append(scores.parse(io.StringIO(text), snapshot.where(at), COLUMNS).sort_values("image"))
        except ManifestError as error:
            raise ReviewError(str(error)) from None
        except ValueError as error:  # pandas' ParserError among them
            raise ReviewError(f"{snapshot.where(at)} is not a table: {' '.join(str(error).split())}") from None
        if tables[-1].empty:
            raise ReviewError(f"{snapshot.where(at)} has no rows")
    validation, test = (table.reset_index(drop=True).astype({"subtype": str}) for table in tables)
    committed = mapping(snapshot, path)
    if not committed:
        raise ReviewError(f"{snapshot.label} has no {path}")
    absent = [key for key in (*METRICS, "threshold") if not _is_number(committed.get(key))]
    if absent:
        raise ReviewError(f"{snapshot.where(path)} has no {absent[0]}, or it is no share")
    model = Model(name, {key: committed[key] for key in METRICS}, committed["threshold"], validation, test)
    for key, right in measured(test, model.threshold).items():
        if right is None or not abs(right - model.metrics[key]) <= DIGIT:
            raise ReviewError(
                f"{snapshot.where(path)} says {key} {model.metrics[key]}, and scores/test/{name}.csv there gives "
                f"{right}: run `dvc repro` and `pneumo verify` on that commit"
            )
    return model


def measured(test: pd.DataFrame, threshold: float) -> dict[str, float | None]:
    """METRICS of `test`, to six digits; None where a class is missing."""
    drawn = Drawn.once(test["label"], test["score"], threshold, test["subtype"])
    values = metrics.values(drawn, "decision", "ranking")
    return {key: values[key] for key in METRICS}


def _is_number(value: Any) -> bool:
    """Of a size that a share or a threshold has: JSON as Python reads it knows NaN, and integers of any length."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10
