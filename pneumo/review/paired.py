"""Paired tests of two models on the same images, with patients as the independent units."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]
ROUNDING = 1e-12  # of differences in ROC AUC
TIED = 1e-9  # statistics that differ by less than this share of themselves are the same
LARGEST = 1_000_000  # pairs of a pneumonia and a normal; beyond, permutations take long and DeLong's test says the same
BATCH = 500  # permutations in memory at once


class Test(NamedTuple):
    """p: two-sided; None where nothing shows the spread, as with fewer than two patients in a class. exact: McNemar's
    exact p.
    """

    name: Literal["permutation", "DeLong", "mid-P McNemar", "t"]
    p: float | None
    exact: float | None = None


def roc_auc(
    labels: ArrayLike, base: ArrayLike, head: ArrayLike, patients: ArrayLike, *, permutations: int, seed: int
) -> Test:
    """Test of equal ROC AUC of the scores `base` and `head` [n]; labels 0 or 1, patients any names, [n].

    By permutations, which need no large sample. With more than LARGEST pairs of images by DeLong's test.
    """
    positive = np.asarray(labels) == 1
    _, patient = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    if min(len(np.unique(patient[of_class])) for of_class in (positive, ~positive)) < 2:
        return Test("permutation", None)
    if positive.sum() * (~positive).sum() > LARGEST:
        return Test("DeLong", delong(positive, base, head, patient))
    return Test("permutation", _permutation(positive, base, head, patient, permutations, seed))


def delong(positive: NDArray[np.bool_], base: ArrayLike, head: ArrayLike, patient: NDArray[np.int_]) -> float:
    """Two-sided p of equal ROC AUC; patients numbered from 0. DeLong, DeLong & Clarke-Pearson 1988 in the form for
    clusters of Obuchowski, Biometrics 53 (1997) 567. Where every patient favours the same model equally, the spread is
    zero, and p is that of the sign test over the patients of the smaller class.
    """
    before, after = (_placements(positive, scores) for scores in (base, head))
    changes = [(after[side] - before[side])[:, None] for side in (0, 1)]
    z = _statistics(changes[0], changes[1], patient[positive], patient[~positive])[0]
    if np.isinf(z):
        return min(1.0, 2 * 0.5 ** min(len(np.unique(patient[of_class])) for of_class in (positive, ~positive)))
    return float(2 * ndtr(-z))


def mcnemar(base_right: ArrayLike, head_right: ArrayLike, patients: ArrayLike) -> Test:
    """Mid-P test of equal shares of right decisions, `base_right` and `head_right` [n] of bool; the exact p with it.

    If the models were equal, each patient's difference in the number of right decisions would be as likely to have the
    other sign. p is the probability of a larger sum over patients, and half of that of an equal one, which comes closer
    to the nominal level than all of it (Fagerland, Lydersen & Laake 2013). This form for clusters keeps the variance of
    the null hypothesis, as in Yang, Sun & Hardin, Biometrical Journal 52 (2010) 638.
    """
    _, patient = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    gained = np.asarray(head_right, dtype=float) - np.asarray(base_right, dtype=float)
    by_patient = np.rint(np.bincount(patient, gained)).astype(int)
    if not by_patient.any():
        return Test("mid-P McNemar", 1.0, 1.0)
    probability = np.ones(1)
    for size in np.abs(by_patient[by_patient != 0]):
        step = np.zeros(2 * size + 1)
        step[[0, -1]] = 0.5
        probability = np.convolve(probability, step)
    sums = np.abs(np.arange(len(probability)) - len(probability) // 2)
    seen = abs(by_patient.sum())
    larger, equal = float(probability[sums > seen].sum()), float(probability[sums == seen].sum())
    return Test("mid-P McNemar", larger + equal / 2, larger + equal)


def _permutation(
    positive: NDArray[np.bool_],
    base: ArrayLike,
    head: ArrayLike,
    patient: NDArray[np.int_],
    permutations: int,
    seed: int,
) -> float:
    """Mid-P of DeLong's statistic when the two models swap their scores in a random half of the patients.

    Scores are ranked first, each model's by themselves, so that their scales do not matter (Venkatraman & Begg 1996).
    Exact where either model could have given either ranking of a patient. Where the models only have the same ROC AUC
    it holds for many patients, as the statistic is divided by its standard error (Konietschke & Pauly 2012).

    Whether a pair of a pneumonia and a normal is ranked right depends on whether each of the two was swapped. With
    signs of -1 for swapped, the change from base to head is by_pneumonia * sign(pneumonia) + by_normal * sign(normal).
    """
    before, after = _ranks(np.asarray(base, dtype=float)), _ranks(np.asarray(head, dtype=float))
    unswapped = _above(after[positive], after[~positive]) - _above(before[positive], before[~positive])
    half_swapped = _above(after[positive], before[~positive]) - _above(before[positive], after[~positive])
    by_pneumonia, by_normal = (unswapped + half_swapped) / 2, (unswapped - half_swapped) / 2
    if not (by_pneumonia.any() or by_normal.any()):
        return 1.0
    pneumonias, normals = patient[positive], patient[~positive]
    rng = np.random.default_rng(seed)
    statistics = []
    for start in range(0, permutations, BATCH):
        signs = rng.choice([-1.0, 1.0], size=(patient.max() + 1, min(BATCH, permutations - start)))
        if start == 0:
            signs[:, 0] = 1  # what was seen
        of_pneumonias, of_normals = signs[pneumonias], signs[normals]
        at_pneumonias = by_pneumonia.mean(axis=1)[:, None] * of_pneumonias + by_normal @ of_normals / len(normals)
        at_normals = by_normal.mean(axis=0)[:, None] * of_normals + by_pneumonia.T @ of_pneumonias / len(pneumonias)
        statistics.append(_statistics(at_pneumonias, at_normals, pneumonias, normals))
    z = np.concatenate(statistics)
    return float(((z > z[0] * (1 + TIED)).mean() + (z >= z[0] * (1 - TIED)).mean()) / 2)


def _statistics(
    at_pneumonias: Array, at_normals: Array, pneumonias: NDArray[np.int_], normals: NDArray[np.int_]
) -> Array:
    """DeLong's z of a difference in ROC AUC, without its sign, [b]: infinite where all patients agree.

    at_*: the difference in placement of each image of that class, [m, b] and [n, b]; pneumonias, normals: the number of
    their patients, [m] and [n].
    """
    difference = at_pneumonias.mean(axis=0)
    sums, variance = [], np.zeros(len(difference))
    for changes, patient in ((at_pneumonias, pneumonias), (at_normals, normals)):
        order = np.argsort(patient, kind="stable")
        units, starts = np.unique(patient[order], return_index=True)
        sums.append(np.zeros((max(pneumonias.max(), normals.max()) + 1, len(difference))))
        sums[-1][units] = np.add.reduceat((changes - difference)[order], starts, axis=0) / len(patient)
        variance += len(units) / (len(units) - 1) * (sums[-1] ** 2).sum(axis=0)
    both = len(np.union1d(pneumonias, normals))
    variance += 2 * both / (both - 1) * (sums[0] * sums[1]).sum(axis=0)
    z = np.where(np.abs(difference) > ROUNDING, np.inf, 0.0)
    return np.divide(np.abs(difference), np.sqrt(np.maximum(variance, 0)), out=z, where=variance > ROUNDING**2)


def _above(first: Array, second: Array) -> Array:
    """1 where `first` [m] is above `second` [n], 0 where it is below, and 0.5 where they tie, [m, n]."""
    return (np.sign(first[:, None] - second) + 1) / 2


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
