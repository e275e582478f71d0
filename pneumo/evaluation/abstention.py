"""Films left to a reader: how many, so that those that a model decides have no more errors than was asked for.

A film's confidence is the distance of its logit from that of the threshold. Films of less confidence than a margin,
which validation sets, are left to a reader. Risk and coverage are those of Geifman and El-Yaniv 2017
(arXiv:1705.08500); AURC is the area under their curve.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumo.evaluation.metrics import rounded

GROUP = "abstention"  # of metrics/NAME.json
LEAST = 1e-9  # scores have six digits, so that 0 and 1 occur; of these is the probability taken instead
Array = NDArray[np.float64]


def measure(
    test: pd.DataFrame, validation: pd.DataFrame, fitted: pd.DataFrame, threshold: float, error_rates: Sequence[float]
) -> dict[str, Any]:
    """For each of `error_rates`, under its `words`: `margin`, the least on `fitted` with at most this error rate among
    the films that are decided, None where there is none, so that all are left to a reader; and what it does to
    `validation` and to `test`: `left`, the share left to a reader, `decided`, how many are not, `errors` among these,
    `missed`, those that are pneumonia, and `error`, their rate. `aurc`: of validation and test.

    All tables have scores.COLUMNS; `fitted`: of validation images, plain or under stress.
    """
    tables = {"validation": validation, "test": test}
    measured: dict[str, Any] = {
        "aurc": {name: rounded(aurc(table, threshold)) for name, table in tables.items()},
    }
    for name, at in margins(fitted, threshold, error_rates).items():
        done = {part: _decided(table, threshold, np.inf if at is None else at) for part, table in tables.items()}
        measured[name] = {"margin": at, **done}
    return measured


def margins(fitted: pd.DataFrame, threshold: float, error_rates: Sequence[float]) -> dict[str, float | None]:
    """`words` for each of `error_rates` -> the least confidence on `fitted` with at most this rate among what is
    decided; None where there is none, so that all films are left to a reader.
    """
    return {words(error_rate): margin(fitted, threshold, error_rate) for error_rate in error_rates}


def rows(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Words for each error rate -> what `measure` says of it, in the metrics of a model; none in early records."""
    return {key: row for key, row in metrics.get(GROUP, {}).items() if key != "aurc"}


def words(error_rate: float) -> str:
    """`0.05` as `5%`."""
    return f"{100 * error_rate:g}%"


def confidence(scores: pd.Series, threshold: float) -> Array:
    """Distance of each score's logit from that of the threshold, six digits: [n]."""
    return np.abs(_logit(scores.to_numpy(dtype=float)) - _logit(np.array(threshold))).round(6)


def curve(table: pd.DataFrame, threshold: float) -> tuple[Array, Array, Array]:
    """Coverage, risk and the least confidence among those decided, at each margin that changes one of them: [m] each.
    From the most confident films to all of them; risk is the share of errors among the films that are decided.
    """
    certain = confidence(table["score"], threshold)
    wrong = (table["score"] >= threshold) != (table["label"] == 1)
    order = np.argsort(-certain, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(certain[order]) != 0, True])
    decided = last + 1
    return decided / len(table), wrong.to_numpy()[order].cumsum()[last] / decided, certain[order][last]


def aurc(table: pd.DataFrame, threshold: float) -> float:
    """Area under the risk-coverage curve, as a sum of steps; lower is better."""
    coverage, risk, _ = curve(table, threshold)
    return float((np.diff(coverage, prepend=0) * risk).sum())


def margin(table: pd.DataFrame, threshold: float, error_rate: float) -> float | None:
    """The least confidence with which at most a share `error_rate` of the films that are decided is wrong."""
    _, risk, certain = curve(table, threshold)
    right = np.flatnonzero(risk <= error_rate)
    if not len(right):
        return None
    return 0.0 if right[-1] == len(risk) - 1 else float(certain[right[-1]])


def _decided(table: pd.DataFrame, threshold: float, at: float) -> dict[str, Any]:
    of = table[confidence(table["score"], threshold) >= at]
    called, sick = of["score"] >= threshold, of["label"] == 1
    errors = int((called != sick).sum())
    return {
        "left": rounded(1 - len(of) / len(table)),
        "decided": len(of),
        "errors": errors,
        "missed": int((sick & ~called).sum()),
        "error": rounded(errors / len(of)) if len(of) else None,
    }


def _logit(probability: Array) -> Array:
    inside = np.clip(probability, LEAST, 1 - LEAST)
    return np.asarray(np.log(inside / (1 - inside)))
