"""Paired tests of two models on the same images, with patients as the independent units.

With one image for each patient they are DeLong's and McNemar's tests.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]
ROUNDING = 1e-12


def delong(labels: ArrayLike, base: ArrayLike, head: ArrayLike, patients: ArrayLike) -> float | None:
    """Two-sided p of equal ROC AUC of the scores `base` and `head` [n]; labels 0 or 1, patients any names, [n].

    DeLong, DeLong & Clarke-Pearson 1988 in the form for clusters of Obuchowski, Biometrics 53 (1997) 567. None where a
    class has fewer than two patients, so that its spread is unknown. Where every patient favours the same model
    equally, the spread is zero, and p is that of the sign test over the patients of the smaller class.
    """
    y = np.asarray(labels) == 1
    names, patient = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    before, after = (_placements(y, scores) for scores in (base, head))
    positive, negative = after[0] - before[0], after[1] - before[1]
    difference = positive.mean()
    by_positive = np.bincount(patient[y], positive - difference, len(names)) / y.sum()
    by_negative = np.bincount(patient[~y], negative - difference, len(names)) / (~y).sum()
    units = [len(np.unique(patient[mask])) for mask in (y, ~y)]
    if min(units) < 2:
        return None
    variance = sum(k / (k - 1) * (sums**2).sum() for k, sums in zip(units, (by_positive, by_negative), strict=True))
    variance += 2 * len(names) / (len(names) - 1) * (by_positive * by_negative).sum()
    if variance <= ROUNDING:  # every patient agrees, as with a perfect head and an uninformative base
        return min(1.0, 2 * 0.5 ** min(units)) if abs(difference) > ROUNDING else 1.0
    return float(2 * ndtr(-abs(difference) / np.sqrt(variance)))


def mcnemar(base_right: ArrayLike, head_right: ArrayLike, patients: ArrayLike) -> float:
    """Two-sided exact p of equal shares of right decisions, `base_right` and `head_right` [n] of bool.

    If the models were equal, each patient's difference in the number of right decisions would be as likely to have the
    other sign: p is exact for the sum over patients. This form for clusters keeps the variance of the null hypothesis,
    as in Yang, Sun & Hardin, Biometrical Journal 52 (2010) 638.
    """
    _, patient = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    gained = np.asarray(head_right, dtype=float) - np.asarray(base_right, dtype=float)
    by_patient = np.rint(np.bincount(patient, gained)).astype(int)
    probability = np.ones(1)
    for size in np.abs(by_patient[by_patient != 0]):
        step = np.zeros(2 * size + 1)
        step[[0, -1]] = 0.5
        probability = np.convolve(probability, step)
    sums = np.arange(len(probability)) - len(probability) // 2
    return float(min(1.0, probability[np.abs(sums) >= abs(by_patient.sum())].sum()))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p values corrected for multiple tests (Holm 1979), in the same order. None stands for no test and stays."""
    tested = [(p, place) for place, p in enumerate(p_values) if p is not None]
    corrected, least = list(p_values), 0.0
    for done, (p, place) in enumerate(sorted(tested)):
        least = max(least, min(1.0, (len(tested) - done) * p))
        corrected[place] = least
    return corrected


def _placements(positive: NDArray[np.bool_], scores: ArrayLike) -> tuple[Array, Array]:
    """Share of the negatives below each positive, and of the positives above each negative; ties count half."""
    s = np.asarray(scores, dtype=float)
    ranks = _ranks(s)
    below = (ranks[positive] - _ranks(s[positive])) / (~positive).sum()
    above = 1 - (ranks[~positive] - _ranks(s[~positive])) / positive.sum()
    return below, above


def _ranks(values: Array) -> Array:
    """From 1, ties sharing their mean: scipy.stats.rankdata, whose import takes a second."""
    _, place, ties = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((ties.cumsum() - (ties - 1) / 2)[place], dtype=np.float64)
