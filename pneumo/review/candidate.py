"""A model as one commit has it: its metrics and scores, believed only where they agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pneumo.errors import RecordError
from pneumo.evaluation import metrics
from pneumo.evaluation.drawn import Drawn
from pneumo.record.parse import read_scores
from pneumo.record.record import Record
from pneumo.scoring import scores

METRICS = tuple(metrics.WORDS)
COLUMNS = (*scores.KEY_COLUMNS, "score")  # early commits have no logits
DIGIT = 1.5e-6  # committed figures have six digits


@dataclass(frozen=True)
class Candidate:
    """`metrics`: METRICS of the test set, as committed. `val_scores`, `test_scores`: COLUMNS, sorted by image."""

    name: str
    metrics: Mapping[str, float]
    threshold: float
    val_scores: pd.DataFrame
    test_scores: pd.DataFrame


def selected(record: Record) -> str:
    """The model that metrics/best.json names. Raises RecordError where its figures are not that model's."""
    figures = dict(record.best)
    where = record.tree.where("metrics/best.json")
    name = figures.pop("model", None)
    if not isinstance(name, str):
        raise RecordError(f"{where} names no model")
    if record.candidates and name not in record.candidates:
        raise RecordError(f"{where} names {name}, which is no model of {record.tree.where('params.yaml')}")
    own = record.model(name).metrics
    differ = [key for key in {**figures, **own} if figures.get(key) != own.get(key)]
    if differ:
        raise RecordError(f"{where} names {name}, but {differ[0]} differs from metrics/{name}.json")
    return name


def read_candidate(record: Record, name: str) -> Candidate:
    """Raises RecordError where a file is missing or broken, or the metrics are not those of the scores."""
    model = record.model(name)
    val_scores, test_scores = (
        _scores(record, model.path(split)).sort_values("image").reset_index(drop=True).astype({"subtype": str})
        for split in ("val", "test")
    )
    where, remedy = model.where("metrics"), record.tree.remedy(model.path("metrics"))
    for key in (*METRICS, "threshold"):
        if not _is_share(model.metrics.get(key)):
            value = repr(model.metrics[key])[:20] if key in model.metrics else "missing"
            raise RecordError(f"{where}: {key} is {value}; expected a number: {remedy}")
    committed = {key: model.metrics[key] for key in METRICS}
    threshold = model.metrics["threshold"]
    for key, recomputed in measured(test_scores, threshold).items():
        if recomputed is None or not abs(recomputed - committed[key]) <= DIGIT:
            raise RecordError(
                f"{where}: {key} is {committed[key]}, but {model.path('test')} gives {recomputed}: {remedy}"
            )
    return Candidate(name, committed, threshold, val_scores, test_scores)


def _scores(record: Record, path: str) -> pd.DataFrame:
    """COLUMNS. Logits are read where there are any, so that they are checked, too."""
    header = record.tree.text(path).partition("\n")[0].split(",")
    return read_scores(record.tree, path, [*COLUMNS, *({"logit"} & set(header))])[list(COLUMNS)]


def measured(test_scores: pd.DataFrame, threshold: float) -> dict[str, float | None]:
    """METRICS of a scores table, to six digits; None where a class is missing."""
    drawn = Drawn.once(test_scores["label"], test_scores["score"], threshold, test_scores["subtype"])
    values = metrics.values(drawn, "decision", "ranking")
    return {key: values[key] for key in METRICS}


def _is_share(value: Any) -> bool:
    """Whether it is a number that a share or a threshold can be: Python's JSON has NaN, and integers of any length."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10
