"""Scores -> the numbers of metrics/NAME.json. Labels: 0 normal, 1 pneumonia."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import ks_2samp
from sklearn import metrics as sk

from pneumo.evaluation import bootstrap, calibration
from pneumo.models.perturbations import NAMES, PERTURBATIONS
from pneumo.scoring import scores, stress

WORDS = {
    "roc_auc": "ROC AUC",
    "average_precision": "avg. precision",
    "accuracy": "accuracy",
    "recall": "recall",
    "specificity": "specificity",
    "precision": "precision",
    "f1": "F1",
}
ORACLE_NOTE = "the best that any threshold gives on these very images: known only afterwards, not achievable in advance"


def evaluate(
    table: pd.DataFrame,
    threshold: float,
    *,
    validation: pd.DataFrame,
    stress_logits: pd.DataFrame | None,
    temperature: float,
    prevalence: float,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """All numbers of the test part, rounded to six digits; null where a number cannot be had.

    `table`, `validation`: scores.COLUMNS of test and validation; the latter for `score_shift` and `stress`.
    `stress_logits`: stress.COLUMNS of validation; without it there is no `stress`, which is of validation, not test.
    prevalence: share of pneumonia for which `ppv` and `npv` are given. `ci95`: 95 % intervals by drawing patients with
    replacement, `resamples` times. `at_half`: the same decisions at 0.5. `uncalibrated`: calibration of the scores
    before temperature scaling. `oracle`: see its note.
    """
    y, s, logits = (table[column].to_numpy() for column in ("label", "score", "logit"))
    decided = decisions(y, s, threshold, subtypes=table["subtype"].to_numpy())
    return {
        "n": len(table),
        "patients": int(table["patient"].nunique()),
        **decided,
        "ppv": _ppv(decided["recall"], decided["specificity"], prevalence),
        "npv": _ppv(decided["specificity"], decided["recall"], 1 - prevalence),
        "prevalence": prevalence,
        **ranking(y, s),
        **_calibration(y, s, logits / temperature),
        "threshold": threshold,
        "temperature": temperature,
        "ci95": bootstrap.intervals(
            table, threshold, temperature=temperature, prevalence=prevalence, resamples=resamples, seed=seed
        ),
        "at_half": decisions(y, s, 0.5, subtypes=table["subtype"].to_numpy()),
        "uncalibrated": _calibration(y, calibration.calibrate(logits, 1.0), logits),
        "score_shift": score_shift(validation, table, threshold),
        "oracle": oracle(y, s),
        **(
            {} if stress_logits is None else {"stress": stress_table(validation, stress_logits, temperature, threshold)}
        ),
    }


def stress_table(
    validation: pd.DataFrame, stress_logits: pd.DataFrame, temperature: float, threshold: float
) -> dict[str, Any]:
    """ROC AUC, and recall and specificity at `threshold`, of validation images: `plain`, all perturbed ones together
    (`all`), and by kind and strength of perturbation.
    """

    def row(labels: ArrayLike, values: ArrayLike) -> dict[str, float]:
        decided = decisions(labels, values, threshold, subtypes=np.full(len(np.asarray(labels)), "unknown"))
        return {key: decided[key] for key in ("recall", "specificity")} | {
            "roc_auc": ranking(labels, values)["roc_auc"]
        }

    def perturbed(table: pd.DataFrame, column: str) -> dict[str, float]:
        return row(table["label"], scores.six_digits(calibration.calibrate(table[column], temperature)))

    found: dict[str, Any] = {
        "plain": row(validation["label"], validation["score"]),
        "all": perturbed(stress.pooled(stress_logits), "logit"),
    }
    for name, (kind, strength) in zip(NAMES, PERTURBATIONS, strict=True):
        found.setdefault(kind, {})[f"{strength:g}"] = perturbed(stress_logits, name)
    return found


def decisions(labels: ArrayLike, scores: ArrayLike, threshold: float, subtypes: ArrayLike) -> dict[str, Any]:
    """What the decisions at `threshold` get right. An image is called pneumonia where score >= threshold.

    Ratios whose denominator is empty (precision where nothing is called pneumonia) are 0, as in scikit-learn; recall of
    a subtype that has no image is null.
    """
    y, s = np.asarray(labels, dtype=int), np.asarray(scores, dtype=float)
    called = s >= threshold
    tn, fp, fn, tp = (int(count) for count in sk.confusion_matrix(y, called, labels=[0, 1]).ravel())
    return {
        "accuracy": rounded(sk.accuracy_score(y, called)),
        "recall": rounded(sk.recall_score(y, called, zero_division=0)),
        "specificity": rounded(sk.recall_score(y, called, pos_label=0, zero_division=0)),
        "precision": rounded(sk.precision_score(y, called, zero_division=0)),
        "f1": rounded(sk.f1_score(y, called, zero_division=0)),
        **{
            f"recall_{subtype}": rounded(called[of_it].mean()) if of_it.any() else None
            for subtype in ("bacterial", "viral")
            for of_it in [(np.asarray(subtypes) == subtype) & (y == 1)]
        },
        "tp": tp,
        "fp": fp,
        "tn": tn,
        "fn": fn,
    }


def ranking(labels: ArrayLike, scores: ArrayLike) -> dict[str, float]:
    """What does not depend on a threshold."""
    return {
        "roc_auc": rounded(sk.roc_auc_score(labels, scores)),
        "average_precision": rounded(sk.average_precision_score(labels, scores)),
    }


def oracle(labels: ArrayLike, scores: ArrayLike) -> dict[str, Any]:
    """The highest accuracy, F1 and Youden index over all thresholds, each with its threshold."""
    y, s = np.asarray(labels, dtype=int), np.asarray(scores, dtype=float)
    fpr, tpr, thresholds = sk.roc_curve(y, s, drop_intermediate=False)
    thresholds[0] = np.nextafter(s.max(), np.inf)  # calls nothing pneumonia; infinity is no number in JSON
    tp, fp = tpr * y.sum(), fpr * (1 - y).sum()
    curves = {
        "accuracy": (tp + (1 - y).sum() - fp) / len(y),
        "f1": 2 * tp / (tp + fp + y.sum()),
        "youden": tpr - fpr,
    }
    found: dict[str, Any] = {"note": ORACLE_NOTE}
    for name, curve in curves.items():
        best = int(np.argmax(curve))
        found |= {name: rounded(curve[best]), f"{name}_threshold": float(thresholds[best])}
    return found


def score_shift(validation: pd.DataFrame, test: pd.DataFrame, threshold: float) -> dict[str, dict[str, Any]]:
    """How the scores move from validation to test, within each class.

    ks: Kolmogorov-Smirnov statistic in [0, 1], the largest distance between the two distribution functions; medians of
    the scores; shares called pneumonia, score >= threshold. Null where a part lacks the class.
    """
    found = {}
    for label, name in enumerate(("normal", "pneumonia")):
        before, after = (one.loc[one["label"] == label, "score"].to_numpy() for one in (validation, test))
        both = len(before) and len(after)
        found[name] = {"ks": rounded(ks_2samp(before, after).statistic) if both else None}
        for part, score in (("validation", before), ("test", after)):
            found[name] |= {
                f"median_{part}": rounded(np.median(score)) if len(score) else None,
                f"called_{part}": rounded((score >= threshold).mean()) if len(score) else None,
            }
    return found


def net_benefit(labels: ArrayLike, scores: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Net benefit of treating where score >= t, for each probability t in (0, 1): Vickers & Elkin 2006."""
    y, s, t = np.asarray(labels), np.asarray(scores, dtype=float), np.asarray(thresholds, dtype=float)
    called = s[None, :] >= t[:, None]
    return (called & (y == 1)).mean(axis=1) - (called & (y == 0)).mean(axis=1) * t / (1 - t)


def _calibration(y: NDArray[Any], scores: NDArray[Any], logits: NDArray[Any]) -> dict[str, float | None]:
    return {
        "brier": rounded(calibration.brier(y, scores)),
        "ece": rounded(calibration.expected_error(y, scores)),
        "calibration_slope": rounded(calibration.slope(y, logits)),
        "calibration_intercept": rounded(calibration.intercept(y, logits)),
    }


def _ppv(recall: float, specificity: float, prevalence: float) -> float | None:
    """Share of true ones among the called ones at `prevalence` (Bayes); null where nothing would be called."""
    true, false = recall * prevalence, (1 - specificity) * (1 - prevalence)
    return rounded(true / (true + false)) if true + false else None


def rounded(value: float | None) -> Any:
    return None if value is None or not np.isfinite(value) else round(float(value), 6)
