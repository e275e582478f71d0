"""What came out when the pipeline of a commit was run again, against what is committed.

It is the one test of figures that were typed in by hand: hashes show that files belong together, not whence they came.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from pneumo.errors import PneumoError, ReviewError, VerifyError
from pneumo.evaluation import suspected
from pneumo.record.parse import read_json, read_table
from pneumo.record.record import BASELINE, KINDS, SUSPECTED_LABELS, Model, Record
from pneumo.scoring import scores
from pneumo.verification.compare import UNIT, differences, numbers, same

DIGIT = 1.5e-5  # relative: scores have six significant digits, of which the last may differ by one
Split = Literal["val", "test", "stress"]


@dataclass(frozen=True)
class Row:
    """A file. `values`: how many numbers were compared; `differ`: how many of its scores, or logits under stress,
    differ by more than DIGIT; `largest`: the largest difference; `problem`: why there is nothing to compare, or what
    differs first in metrics.
    """

    path: str
    values: int = 0
    differ: int = 0
    largest: float = 0.0
    problem: str | None = None

    @property
    def equal(self) -> bool:
        return self.problem is None and not self.differ


@dataclass(frozen=True)
class Reproduction:
    """`verdict`, `difference`: of the review when the reproduced results stand in for those of head; the difference is
    that of the metric which decides, None where there is none. `makes`: the processors of both, where these may be of
    different makes; `apart`: then the verdict on the reproduced results against the committed ones.
    """

    rows: list[Row]
    verdict: str
    difference: float | None
    makes: str | None = None
    apart: str | None = None

    @property
    def equal(self) -> bool:
        return all(row.equal for row in self.rows)

    @property
    def other_digits(self) -> bool:
        """Whether another make of processor can explain all that differs: every table has the same images, and the
        selected model is not worse than the committed one.
        """
        whole = all(row.problem is None for row in self.rows if row.path.startswith("scores/"))
        return self.makes is not None and whole and self.apart not in (None, "worse", "not comparable")


def compare(committed: Record, made: Record) -> list[Row]:
    """A row for each file of scores and metrics of the models in params.yaml, for metrics/best.json and for the list of
    suspected labels.

    Raises ReviewError where the pipeline was run with other parameters.
    """
    differ = differences(committed.params, made.params)
    if differ:
        key, before, after = differ[0]
        raise ReviewError(
            f"{made.tree.where('params.yaml')}: {key} is {after!r}, but {before!r} in what is committed: run the "
            "pipeline on the commit that is reviewed"
        )
    names = [*committed.candidates, BASELINE]
    replicates = [model.name for name in names for model in committed.replicates(name)]
    pairs = [(committed.model(name), made.model(name)) for name in replicates]
    rows = [_scores(before, after, kind) for before, after in pairs for kind in KINDS if kind != "metrics"]
    figures = [_figures(committed, made, path) for path in (*(_metrics(name) for name in names), "metrics/best.json")]
    return [row for row in (*rows, *figures, _suspects(committed, made)) if row]


def _metrics(name: str) -> str:
    return f"metrics/{name}.json"


def _scores(before: Model, after: Model, kind: Split) -> Row | None:
    """None where neither side has the file."""
    path = before.path(kind)
    if not before.tree.has(path) and not after.tree.has(path):
        return None
    try:
        committed, made = _table(before, kind), _table(after, kind)
    except PneumoError as error:
        return Row(path, problem=str(error))
    return _compared(path, committed, made, "subtypes")


def _suspects(committed: Record, made: Record) -> Row | None:
    """None where neither side has the list."""
    if not committed.tree.has(SUSPECTED_LABELS) and not made.tree.has(SUSPECTED_LABELS):
        return None
    try:
        before, after = (
            read_table(record.tree, SUSPECTED_LABELS, suspected.parse, may_be_empty=True)
            .set_index(["image", "patient", "label", "split"])
            .sort_index()
            for record in (committed, made)
        )
    except PneumoError as error:
        return Row(SUSPECTED_LABELS, problem=str(error))
    return _compared(SUSPECTED_LABELS, before, after, "splits")


def _compared(path: str, committed: pd.DataFrame, made: pd.DataFrame, last: str) -> Row:
    """Two tables of numbers, the images with all that is known of them as index. `last`: of that, what comes last."""
    if not committed.index.equals(made.index):
        return Row(path, problem=f"other images, patients, labels or {last}")
    old, new = committed.to_numpy(float), made.to_numpy(float)
    difference = np.abs(old - new)
    differ = difference > DIGIT * np.maximum(np.abs(old), np.abs(new))
    return Row(path, old.size, int(differ.sum()), float(difference.max(initial=0)))


def _table(model: Model, kind: Split) -> pd.DataFrame:
    """The scores, or the logits under stress, by image, patient, label and subtype. Raises RecordError like `Model`."""
    table = model.stress_logits if kind == "stress" else model.scores(kind)
    if table is None:
        raise ReviewError(f"{model.where(kind)} is missing")
    indexed = table.set_index(list(scores.KEY_COLUMNS)).sort_index()
    return indexed if kind == "stress" else indexed[["score"]]


def _figures(committed: Record, made: Record, path: str) -> Row | None:
    """None where neither side has the file."""
    if not committed.tree.has(path) and not made.tree.has(path):
        return None
    try:
        before: dict[str, Any] = read_json(committed.tree, path)
        same(before, read_json(made.tree, path), path, [path], unit=UNIT)
    except VerifyError as error:
        return Row(path, problem=str(error).partition("\n")[0].replace("; recomputed", "; reproduced"))
    except PneumoError as error:
        return Row(path, problem=str(error))
    return Row(path, numbers(before))
