"""Scores -> the numbers of metrics/NAME.json. Labels: 0 normal, 1 pneumonia.

METRICS defines each metric once. Its value, its interval, its resamples, the ranking of candidates, the report's
columns and the paired comparison of `pneumo review` all come from that entry.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pneumo.evaluation import calibration
from pneumo.evaluation import intervals as intervals_of
from pneumo.evaluation.drawn import Drawn, average_precision, bayes, ratio, roc_auc
from pneumo.evaluation.intervals import proportion
from pneumo.evaluation.thresholds import counts as counts_by_threshold
from pneumo.models.perturbations import NAMES, PERTURBATIONS
from pneumo.scoring import scores, stress

Array = NDArray[np.float64]
Group = Literal["decision", "prevalence", "ranking", "calibration"]
ORACLE_NOTE = "the best that any threshold gives on these very images: known only afterwards, not achievable in advance"


@dataclass(frozen=True)
class Metric:
    """One metric: its definition, and what is reported where it is undefined.

    key, words: its name in JSON and in tables. group: what it depends on. decision: the threshold; prevalence: an
    assumed prevalence, too; ranking: the order of the scores alone; calibration: their values.
    of: the metric under each row of image weights, [b]; NaN where its denominator is 0.
    undefined: what the value is instead of NaN. Resamples leave NaN out, whatever `undefined` says.
    headline: whether it is a column of the report and a row of `pneumo review`; decisions and rankings only.
    interval: how its 95 % interval is made; None if it has none.
    """

    key: str
    words: str
    group: Group
    of: Callable[[Drawn], Array]
    undefined: float | None = None
    headline: bool = False
    interval: intervals_of.Interval | None = intervals_of.jackknife


def _decision(key: str, words: str, of: Callable[[Drawn], Array], **options: Any) -> Metric:
    """A decision metric of the report, 0 where it is undefined, as in scikit-learn."""
    return Metric(key, words, "decision", of, undefined=0.0, headline=True, **options)


def _subtype_recall(subtype: str) -> Metric:
    """Recall of one subtype, null where there is no image of it."""
    return Metric(
        f"recall_{subtype}",
        f"recall, {subtype}",
        "decision",
        lambda drawn: drawn.recall_of(subtype),
        interval=proportion(lambda drawn: (drawn.called, (drawn.subtypes == subtype) & (drawn.labels == 1))),
    )


METRICS = (
    _decision(
        "accuracy",
        "accuracy",
        lambda drawn: ratio(drawn.tp + drawn.tn, drawn.tp + drawn.fp + drawn.fn + drawn.tn),
        interval=proportion(lambda drawn: (drawn.called == (drawn.labels == 1), drawn.labels >= 0)),
    ),
    _decision(
        "recall",
        "recall",
        lambda drawn: ratio(drawn.tp, drawn.tp + drawn.fn),
        interval=proportion(lambda drawn: (drawn.called, drawn.labels == 1)),
    ),
    _decision(
        "specificity",
        "specificity",
        lambda drawn: ratio(drawn.tn, drawn.tn + drawn.fp),
        interval=proportion(lambda drawn: (~drawn.called, drawn.labels == 0)),
    ),
    _decision(
        "precision",
        "precision",
        lambda drawn: ratio(drawn.tp, drawn.tp + drawn.fp),
        interval=proportion(lambda drawn: (drawn.labels == 1, drawn.called)),
    ),
    _decision(
        "f1",
        "F1",
        lambda drawn: ratio(2 * drawn.tp, 2 * drawn.tp + drawn.fp + drawn.fn),
        interval=intervals_of.f1,
    ),
    _subtype_recall("bacterial"),
    _subtype_recall("viral"),
    Metric(
        "ppv",
        "PPV",
        "prevalence",
        lambda drawn: bayes(drawn.recall, drawn.specificity, drawn.prevalence),
        interval=intervals_of.positive_predictive,
    ),
    Metric(
        "npv",
        "NPV",
        "prevalence",
        lambda drawn: bayes(drawn.specificity, drawn.recall, 1 - drawn.prevalence),
        interval=intervals_of.negative_predictive,
    ),
    Metric("roc_auc", "ROC AUC", "ranking", roc_auc, headline=True, interval=intervals_of.roc_auc),
    Metric(
        "average_precision",
        "average precision",
        "ranking",
        average_precision,
        headline=True,
        interval=intervals_of.jackknife_logit,
    ),
    Metric(
        "brier",
        "Brier",
        "calibration",
        lambda drawn: drawn.mean((drawn.scores - drawn.labels) ** 2),
        interval=intervals_of.jackknife_logit,
    ),
    # No interval: on finitely many images the error lies above that of all patients, which no interval around it mends.
    Metric(
        "ece",
        "ECE",
        "calibration",
        lambda drawn: calibration.expected_errors(drawn.labels, drawn.scores, drawn.weights),
        interval=None,
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


def headline_words(metrics: Iterable[Metric]) -> dict[str, str]:
    """Key -> words of the report's columns: rankings first, then decisions."""
    columns = [metric for metric in metrics if metric.headline]
    return {metric.key: metric.words for metric in sorted(columns, key=lambda metric: metric.group != "ranking")}


WORDS = headline_words(METRICS)


def values(drawn: Drawn, *groups: str) -> dict[str, Any]:
    """The metrics of these groups, to six digits. `drawn`: every image once, as without resampling."""
    result = {}
    for metric in METRICS:
        if metric.group in groups:
            value = rounded(metric.of(drawn)[0])
            result[metric.key] = metric.undefined if value is None else value
    return result


def intervals(
    table: pd.DataFrame, threshold: float, *, temperature: float, prevalence: float, thresholds: Array | None = None
) -> dict[str, list[float | None]]:
    """95 % interval [low, high] of each metric, to six digits; [None, None] where it has none.

    `table`: scores.COLUMNS. `thresholds`: those of draws of the validation patients (`decision.threshold_draws`); None:
    the intervals are about `threshold` as it is.
    """
    table = table.sort_values("image")
    images = Drawn.of(table, threshold, temperature=temperature, prevalence=prevalence)
    sample = intervals_of.Sample.of(table, images, thresholds)
    bounds = {metric.key: metric.interval(metric.of, sample) for metric in METRICS if metric.interval}
    return {key: [rounded(bound) for bound in pair or (None, None)] for key, pair in bounds.items()}


def counts(drawn: Drawn) -> dict[str, int]:
    """The confusion matrix."""
    return {key: int(getattr(drawn, key)[0]) for key in ("tp", "fp", "tn", "fn")}


def decisions(labels: ArrayLike, scores: ArrayLike, threshold: float, subtypes: ArrayLike) -> dict[str, Any]:
    """Metrics and confusion matrix at `threshold`. An image is called pneumonia where score >= threshold."""
    drawn = Drawn.once(labels, scores, threshold, subtypes)
    return {**values(drawn, "decision"), **counts(drawn)}


def ranking(labels: ArrayLike, scores: ArrayLike) -> dict[str, Any]:
    """Metrics that do not depend on a threshold."""
    return values(Drawn.once(labels, scores), "ranking")


def stress_table(
    validation: pd.DataFrame, stress_logits: pd.DataFrame, temperature: float, threshold: float
) -> dict[str, Any]:
    """ROC AUC, and recall and specificity at `threshold`, on the validation images: unperturbed (`plain`), under all
    perturbations together (`all`), and under each kind and strength.
    """

    def row(labels: ArrayLike, val_scores: ArrayLike) -> dict[str, float]:
        measured = values(Drawn.once(labels, val_scores, threshold), "decision", "ranking")
        return {key: measured[key] for key in ("recall", "specificity", "roc_auc")}

    def under_stress(val_logits: pd.DataFrame, column: str) -> dict[str, float]:
        return row(val_logits["label"], scores.six_digits(calibration.calibrate(val_logits[column], temperature)))

    rows: dict[str, Any] = {
        "plain": row(validation["label"], validation["score"]),
        "all": under_stress(stress.pooled(stress_logits), "logit"),
    }
    for name, (kind, strength) in zip(NAMES, PERTURBATIONS, strict=True):
        rows.setdefault(kind, {})[f"{strength:g}"] = under_stress(stress_logits, name)
    return rows


def oracle(labels: ArrayLike, scores: ArrayLike) -> dict[str, Any]:
    """The highest accuracy, F1 and Youden index over all thresholds, each with its threshold.

    Both classes must occur in `labels`.
    """
    y = np.asarray(labels, dtype=float)
    distinct, tp, fp = counts_by_threshold(y, scores)
    # Just above the highest score nothing is called pneumonia. JSON has no infinity.
    thresholds = np.concatenate([[np.nextafter(distinct[0], np.inf)], distinct])
    tp, fp = np.concatenate([[0.0], tp]), np.concatenate([[0.0], fp])
    curves = {
        "accuracy": (tp + (1 - y).sum() - fp) / len(y),
        "f1": 2 * tp / (tp + fp + y.sum()),
        "youden": tp / y.sum() - fp / (1 - y).sum(),
    }
    result: dict[str, Any] = {"note": ORACLE_NOTE}
    for name, curve in curves.items():
        best = int(np.argmax(curve))
        result |= {name: rounded(curve[best]), f"{name}_threshold": float(thresholds[best])}
    return result


def score_shift(validation: pd.DataFrame, test: pd.DataFrame, threshold: float) -> dict[str, dict[str, Any]]:
    """How the scores of each class differ between validation and test.

    ks: the Kolmogorov-Smirnov statistic in [0, 1], the largest distance between the two distribution functions.
    median_*: of the scores. called_*: share called pneumonia, score >= threshold. Null where a set lacks the class.
    """
    shift = {}
    for label, name in enumerate(("normal", "pneumonia")):
        val_scores, test_scores = (
            table.loc[table["label"] == label, "score"].to_numpy() for table in (validation, test)
        )
        both = len(val_scores) and len(test_scores)
        shift[name] = {"ks": rounded(_kolmogorov_smirnov(val_scores, test_scores)) if both else None}
        for split, of_class in (("validation", val_scores), ("test", test_scores)):
            shift[name] |= {
                f"median_{split}": rounded(np.median(of_class)) if len(of_class) else None,
                f"called_{split}": rounded((of_class >= threshold).mean()) if len(of_class) else None,
            }
    return shift


def net_benefit(labels: ArrayLike, scores: ArrayLike, thresholds: ArrayLike) -> Array:
    """Net benefit of treating where score >= t, for each threshold probability t in (0, 1): Vickers & Elkin 2006."""
    y, s, t = np.asarray(labels), np.asarray(scores, dtype=float), np.asarray(thresholds, dtype=float)
    called = s[None, :] >= t[:, None]
    return (called & (y == 1)).mean(axis=1) - (called & (y == 0)).mean(axis=1) * t / (1 - t)


def rounded(value: float | None) -> Any:
    """`value` to six digits; None if it is missing, NaN or infinite."""
    return None if value is None or not np.isfinite(value) else round(float(value), 6)


def _kolmogorov_smirnov(first: Array, second: Array) -> float:
    """The statistic of scipy.stats.ks_2samp; importing scipy.stats takes a second in each process."""
    both = np.concatenate([first, second])
    cdfs = [np.searchsorted(np.sort(sample), both, side="right") / len(sample) for sample in (first, second)]
    return float(np.abs(cdfs[0] - cdfs[1]).max())
