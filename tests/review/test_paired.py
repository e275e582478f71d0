"""Paired tests over patients: the textbook tests where each patient has one image, and no more certain for copies."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm, rankdata
from statsmodels.stats.contingency_tables import mcnemar as textbook_mcnemar
from statsmodels.stats.multitest import multipletests

from pneumo.evaluation.holm import holm
from pneumo.review import paired

RNG = np.random.default_rng(3)
N = 80
LABELS = (RNG.random(N) < 0.6).astype(int)
BASE = LABELS + RNG.normal(0, 0.8, N).round(1)  # rounded, so that there are ties
HEAD = LABELS + RNG.normal(0, 0.6, N).round(1)
PATIENTS = np.arange(N)


def delong(labels, base, head, patients):
    return paired.delong(labels == 1, base, head, np.unique(patients, return_inverse=True)[1])


def permutation(labels, base, head, patients, seed=0):
    test = paired.roc_auc(labels, base, head, patients, permutations=10_000, seed=seed)
    assert test.name == "permutation"
    return test.p


def textbook_delong(y, a, b):
    """z of two AUCs as DeLong, DeLong & Clarke-Pearson 1988 write it, pair by pair."""
    aucs, v10, v01 = [], [], []
    for s in (a, b):
        wins = np.array([[1.0 if p > q else 0.5 if p == q else 0.0 for q in s[y == 0]] for p in s[y == 1]])
        aucs.append(wins.mean())
        v10.append(wins.mean(axis=1))
        v01.append(wins.mean(axis=0))
    covariance = np.cov(v10) / len(v10[0]) + np.cov(v01) / len(v01[0])
    return (aucs[1] - aucs[0]) / (covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]) ** 0.5


def test_with_one_image_a_patient_it_is_delongs_test():
    expected = 2 * norm.sf(abs(textbook_delong(LABELS, BASE, HEAD)))
    assert delong(LABELS, BASE, HEAD, PATIENTS) == pytest.approx(expected, rel=1e-9)
    assert 0.001 < expected < 0.9, "a p at an end would show nothing"


def mcnemar_of_scores(labels, base, head, patients):
    return paired.mcnemar(*((scores > 0.5) == (labels == 1) for scores in (base, head)), patients).p


@pytest.mark.parametrize("test", [delong, permutation, mcnemar_of_scores])
def test_copies_of_a_patients_images_make_nothing_more_certain(test):
    def p(copies):
        return test(*(np.repeat(values, copies) for values in (LABELS, BASE, HEAD, PATIENTS)))

    assert p(5) == pytest.approx(p(1), rel=1e-9)
    assert 0.001 < p(1) < 0.9


@pytest.mark.parametrize("test", [delong, permutation])
def test_images_taken_for_patients_seem_more_certain_than_they_are(test):
    again = [np.repeat(values, 5) for values in (LABELS, BASE, HEAD)]
    assert test(*again, np.arange(5 * N)) < test(LABELS, BASE, HEAD, PATIENTS) / 2


@pytest.mark.parametrize("test", [delong, permutation])
def test_both_classes_in_one_patient_are_allowed(test):
    mixed = np.arange(N) // 4
    assert 0 < test(LABELS, BASE, HEAD, mixed) < 1
    assert permutation(LABELS, BASE, HEAD, mixed) == pytest.approx(delong(LABELS, BASE, HEAD, mixed), abs=0.05)


@pytest.mark.parametrize("test", [delong, permutation])
def test_the_order_of_the_models_does_not_change_p(test):
    assert test(LABELS, HEAD, BASE, PATIENTS) == pytest.approx(test(LABELS, BASE, HEAD, PATIENTS))


def test_equal_scores_have_p_of_one_and_a_single_patient_has_none():
    assert permutation(LABELS, BASE, BASE, PATIENTS) == delong(LABELS, BASE, BASE, PATIENTS) == 1
    assert paired.mcnemar(LABELS == 1, LABELS == 1, PATIENTS).p == 1
    assert permutation(LABELS, BASE, HEAD, np.where(LABELS == 1, 0, PATIENTS)) is None


def test_the_permutation_test_counts_the_swaps_that_look_as_extreme():
    """All 2 ** 8 ways to swap the ranks of eight patients, with DeLong's statistic computed for each."""
    rng = np.random.default_rng(8)
    labels = np.array([0, 1] * 4)
    base, head = (rankdata(labels + rng.normal(0, 1, 8)) for _ in range(2))
    statistics = []
    for swapped in itertools.product([False, True], repeat=8):
        pair = np.where(swapped, head, base), np.where(swapped, base, head)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistics.append(np.nan_to_num(abs(textbook_delong(labels, *pair)), posinf=np.inf))
    above, level = np.array(statistics) > statistics[0] + 1e-9, np.isclose(statistics, statistics[0])
    assert 0.05 < above.mean() < 0.95, "a p at an end would show nothing"
    assert permutation(labels, base, head, np.arange(8)) == pytest.approx(above.mean() + level.mean() / 2, abs=0.015)


@pytest.mark.parametrize("scale", [lambda ranks: 100 * ranks - 7, lambda ranks: ranks**3])
def test_the_scales_of_the_models_do_not_matter(scale):
    assert permutation(LABELS, BASE, scale(rankdata(HEAD)), PATIENTS) == permutation(LABELS, BASE, HEAD, PATIENTS)


def test_on_many_images_permutations_and_delong_agree_and_beyond_a_size_delong_says_it_alone(monkeypatch):
    rng = np.random.default_rng(1)
    labels, patients = (rng.random(600) < 0.6).astype(int), np.arange(600) // 2
    base, head = (labels + rng.normal(0, noise, 600) for noise in (0.9, 0.8))
    p = permutation(labels, base, head, patients)
    assert p == pytest.approx(permutation(labels, base, head, patients, seed=1), abs=0.02)
    monkeypatch.setattr(paired, "LARGEST", 10_000)
    large = paired.roc_auc(labels, base, head, patients, permutations=10_000, seed=0)
    assert large == ("DeLong", delong(labels, base, head, patients), None)
    assert large.p == pytest.approx(p, abs=0.02)
    assert 0.001 < p < 0.9


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_with_one_image_a_patient_it_is_mcnemars_test_in_its_mid_p_form(decisions):
    """The exact test's p, less the probability of what was seen (Fagerland, Lydersen & Laake 2013)."""
    base, head = np.array(decisions).T
    counts = pd.crosstab(
        pd.Categorical(base, categories=[False, True]), pd.Categorical(head, categories=[False, True]), dropna=False
    ).to_numpy()
    discordant, fewer = counts[0, 1] + counts[1, 0], min(counts[0, 1], counts[1, 0])
    exact = min(1.0, textbook_mcnemar(counts, exact=True).pvalue)
    seen = binom.pmf(fewer, discordant, 0.5)
    if not discordant:
        expected = 1.0
    elif 2 * fewer == discordant:
        expected = 1 - seen / 2
    else:
        expected = exact - seen
    close = (pytest.approx(p, abs=1e-12) for p in (expected, exact))
    assert paired.mcnemar(base, head, np.arange(len(base))) == ("mid-P McNemar", *close)


@pytest.mark.parametrize(("gained", "p"), [(4, 0.0625), (5, 0.03125), (6, 0.015625)])
def test_five_cases_that_all_changed_one_way_are_enough(gained, p):
    base, head = np.zeros(20, bool), np.arange(20) < gained
    assert paired.mcnemar(base, head, np.arange(20)).p == pytest.approx(p)


def test_with_many_patients_it_is_the_clustered_statistic_of_yang():
    rng = np.random.default_rng(1)
    patients = np.repeat(np.arange(400), 3)
    hard = rng.random(400)[patients] < 0.3
    base, head = (rng.random(1200) > np.where(hard, chance, 0.05) for chance in (0.5, 0.42))
    by_patient = pd.Series(head.astype(int) - base.astype(int)).groupby(patients).sum()
    z = by_patient.sum() / np.sqrt((by_patient**2).sum())
    assert paired.mcnemar(base, head, patients).p == pytest.approx(2 * norm.sf(abs(z)), rel=0.05)


@pytest.mark.parametrize("count", range(1, 13))
def test_holm_is_holm(count):
    values = RNG.choice([0.0, 0.001, 0.02, 0.02, 0.3, 1.0, *RNG.random(6)], count)
    expected = multipletests(values, method="holm")[1]
    assert holm(values) == pytest.approx(list(expected))


def test_what_was_not_tested_counts_for_nothing():
    assert holm([0.02, None, 0.03]) == [0.04, None, 0.04]
    assert holm([]) == []
