"""Scores -> the numbers of metrics/NAME.json. Labels: 0 normal, 1 pneumonia.

METRICS has one entry for each metric: its words, its definition, and what it is where its denominator is empty. From
the same definition come its value, its bootstrap interval, the ranking of candidates and the review.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pneumo.evaluation import calibration
from pneumo.evaluation.drawn import Drawn, average_precision, bayes, ratio, roc_auc
from pneumo.evaluation.thresholds import counts as counts_by_threshold
from pneumo.models.perturbations import NAMES, PERTURBATIONS
from pneumo.scoring import scores, stress

Array = NDArray[np.float64]
ORACLE_NOTE = "the best that any threshold gives on these very images: known only afterwards, not achievable in advance"


@dataclass(frozen=True)
class Metric:
    """`of`: the metric under each row of image weights, [b], NaN where its denominator is empty. `undefined`: what is
    reported in place of such a NaN; resamples without the metric are left out. `about`: for a proportion, the images in
    its denominator, [n]. `interval`: whether resamples of it are of use.
    """

    key: str
    words: str
    group: str  # decision: depends on the threshold; prevalence; ranking; calibration
    of: Callable[[Drawn], Array]
    undefined: float | None = None
    about: Callable[[Drawn], NDArray[np.bool_]] | None = None
    interval: bool = True


def _recall_of(subtype: str) -> Metric:
    return Metric(
        f"recall_{subtype}",
        f"recall, {subtype}",
        "decision",
        lambda drawn: drawn.recall_of(subtype),
        about=lambda drawn: (drawn.subtypes == subtype) & (drawn.labels == 1),
    )


# Without a denominator, decisions count as 0, as in scikit-learn; all else is null.
METRICS = (
    Metric(
        "accuracy",
        "accuracy",
        "decision",
        lambda drawn: ratio(drawn.tp + drawn.tn, drawn.tp + drawn.fp + drawn.fn + drawn.tn),
        undefined=0.0,
        about=lambda drawn: drawn.labels >= 0,
    ),
    Metric(
        "recall",
        "recall",
        "decision",
        lambda drawn: ratio(drawn.tp, drawn.tp + drawn.fn),
        undefined=0.0,
        about=lambda drawn: drawn.labels == 1,
    ),
    Metric(
        "specificity",
        "specificity",
        "decision",
        lambda drawn: ratio(drawn.tn, drawn.tn + drawn.fp),
        undefined=0.0,
        about=lambda drawn: drawn.labels == 0,
    ),
    Metric(
        "precision",
        "precision",
        "decision",
        lambda drawn: ratio(drawn.tp, drawn.tp + drawn.fp),
        undefined=0.0,
        about=lambda drawn: drawn.called,
    ),
    Metric(
        "f1",
        "F1",
        "decision",
        lambda drawn: ratio(2 * drawn.tp, 2 * drawn.tp + drawn.fp + drawn.fn),
        undefined=0.0,
    ),
    _recall_of("bacterial"),
    _recall_of("viral"),
    Metric("ppv", "PPV", "prevalence", lambda drawn: bayes(drawn.recall, drawn.specificity, drawn.prevalence)),
    Metric("npv", "NPV", "prevalence", lambda drawn: bayes(drawn.specificity, drawn.recall, 1 - drawn.prevalence)),
    Metric("roc_auc", "ROC AUC", "ranking", roc_auc),
    Metric("average_precision", "average precision", "ranking", average_precision),
    Metric("brier", "Brier", "calibration", lambda drawn: drawn.mean((drawn.scores - drawn.labels) ** 2)),
    Metric(  # resamples would count the noise that drawing adds as error, and lie too high
        "ece",
        "ECE",
        "calibration",
        lambda drawn: np.array([calibration.expected_error(drawn.labels, drawn.scores)]),
        interval=False,
    ),
    Metric(
        "calibration_slope",
        "calibration slope",
        "calibration",
        lambda drawn: calibration.slopes(drawn.labels, drawn.logits, drawn.weights),
    ),
    Metric(
        "calibration_intercept",
        "calibration intercept",
        "calibration",
        lambda drawn: calibration.intercepts(drawn.labels, drawn.logits, drawn.weights),
    ),
)
BY_KEY = {metric.key: metric for metric in METRICS}
WORDS = {key: BY_KEY[key].words for key in ("roc_auc", "average_precision", "accuracy", "recall", "specificity")}
WORDS |= {key: BY_KEY[key].words for key in ("precision", "f1")}


def values(drawn: Drawn, *groups: str) -> dict[str, Any]:
    """The metrics of these groups on the images of `drawn`, which is drawn once: six digits."""
    result = {}
    for metric in METRICS:
        if metric.group in groups:
            value = rounded(metric.of(drawn)[0])
            result[metric.key] = metric.undefined if value is None else value
    return result


def counts(drawn: Drawn) -> dict[str, int]:
    """The confusion matrix."""
    return {key: int(getattr(drawn, key)[0]) for key in ("tp", "fp", "tn", "fn")}


def decisions(labels: ArrayLike, scores: ArrayLike, threshold: float, subtypes: ArrayLike) -> dict[str, Any]:
    """What the decisions at `threshold` get right. An image is called pneumonia where score >= threshold."""
    drawn = Drawn.once(labels, scores, threshold, subtypes)
    return {**values(drawn, "decision"), **counts(drawn)}


def ranking(labels: ArrayLike, scores: ArrayLike) -> dict[str, Any]:
    """What does not depend on a threshold."""
    return values(Drawn.once(labels, scores), "ranking")


def stress_table(
    validation: pd.DataFrame, stress_logits: pd.DataFrame, temperature: float, threshold: float
) -> dict[str, Any]:
    """ROC AUC, and recall and specificity at `threshold`, of validation images: `plain`, all perturbed ones together
    (`all`), and by kind and strength of perturbation.
    """

    def row(labels: ArrayLike, values_: ArrayLike) -> dict[str, float]:
        both = values(Drawn.once(labels, values_, threshold), "decision", "ranking")
        return {key: both[key] for key in ("recall", "specificity", "roc_auc")}

    def under_stress(table: pd.DataFrame, column: str) -> dict[str, float]:
        return row(table["label"], scores.six_digits(calibration.calibrate(table[column], temperature)))

    rows: dict[str, Any] = {
        "plain": row(validation["label"], validation["score"]),
        "all": under_stress(stress.pooled(stress_logits), "logit"),
    }
    for name, (kind, strength) in zip(NAMES, PERTURBATIONS, strict=True):
        rows.setdefault(kind, {})[f"{strength:g}"] = under_stress(stress_logits, name)
    return rows


def oracle(labels: ArrayLike, scores: ArrayLike) -> dict[str, Any]:
    """The highest accuracy, F1 and Youden index over all thresholds, each with its threshold.

    One class is not enough for a recall and a specificity: both must occur in `labels`.
    """
    y = np.asarray(labels, dtype=float)
    at, tp, fp = counts_by_threshold(y, scores)
    # Above the highest score nothing is called pneumonia; infinity is no number in JSON.
    thresholds = np.concatenate([[np.nextafter(at[0], np.inf)], at])
    tp, fp = np.concatenate([[0.0], tp]), np.concatenate([[0.0], fp])
    curves = {
        "accuracy": (tp + (1 - y).sum() - fp) / len(y),
        "f1": 2 * tp / (tp + fp + y.sum()),
        "youden": tp / y.sum() - fp / (1 - y).sum(),
    }
    best_of: dict[str, Any] = {"note": ORACLE_NOTE}
    for name, curve in curves.items():
        best = int(np.argmax(curve))
        best_of |= {name: rounded(curve[best]), f"{name}_threshold": float(thresholds[best])}
    return best_of


def score_shift(validation: pd.DataFrame, test: pd.DataFrame, threshold: float) -> dict[str, dict[str, Any]]:
    """How the scores move from validation to test, within each class.

    ks: Kolmogorov-Smirnov statistic in [0, 1], the largest distance between the two distribution functions; medians of
    the scores; shares called pneumonia, score >= threshold. Null where a set lacks the class.
    """
    shift = {}
    for label, name in enumerate(("normal", "pneumonia")):
        before, after = (table.loc[table["label"] == label, "score"].to_numpy() for table in (validation, test))
        both = len(before) and len(after)
        shift[name] = {"ks": rounded(_kolmogorov_smirnov(before, after)) if both else None}
        for part, score in (("validation", before), ("test", after)):
            shift[name] |= {
                f"median_{part}": rounded(np.median(score)) if len(score) else None,
                f"called_{part}": rounded((score >= threshold).mean()) if len(score) else None,
            }
    return shift


def net_benefit(labels: ArrayLike, scores: ArrayLike, thresholds: ArrayLike) -> Array:
    """Net benefit of treating where score >= t, for each probability t in (0, 1): Vickers & Elkin 2006."""
    y, s, t = np.asarray(labels), np.asarray(scores, dtype=float), np.asarray(thresholds, dtype=float)
    called = s[None, :] >= t[:, None]
    return (called & (y == 1)).mean(axis=1) - (called & (y == 0)).mean(axis=1) * t / (1 - t)


def rounded(value: float | None) -> Any:
    """Six digits; None where there is no finite value."""
    return None if value is None or not np.isfinite(value) else round(float(value), 6)


def _kolmogorov_smirnov(first: Array, second: Array) -> float:
    """The statistic of scipy.stats.ks_2samp, whose import takes a second."""
    both = np.concatenate([first, second])
    shares = [np.searchsorted(np.sort(sample), both, side="right") / len(sample) for sample in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())
