"""Paired tests over patients: the textbook tests where each patient has one image, and no more certain for copies."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar as textbook_mcnemar
from statsmodels.stats.multitest import multipletests

from pneumo.review import paired

RNG = np.random.default_rng(3)
N = 80
LABELS = (RNG.random(N) < 0.6).astype(int)
BASE = LABELS + RNG.normal(0, 0.8, N).round(1)  # rounded, so that there are ties
HEAD = LABELS + RNG.normal(0, 0.6, N).round(1)
PATIENTS = np.arange(N)


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
    assert paired.delong(LABELS, BASE, HEAD, PATIENTS) == pytest.approx(expected, rel=1e-9)
    assert 0.001 < expected < 0.9, "a p at an end would show nothing"


@pytest.mark.parametrize("test", ["delong", "mcnemar"])
def test_copies_of_a_patients_images_make_nothing_more_certain(test):
    def p(copies):
        again = [np.repeat(values, copies) for values in (LABELS, BASE, HEAD, PATIENTS)]
        if test == "delong":
            return paired.delong(*again)
        right = [(score > 0.5) == (again[0] == 1) for score in again[1:3]]
        return paired.mcnemar(*right, again[3])

    assert p(5) == pytest.approx(p(1), rel=1e-9)
    assert 0.001 < p(1) < 0.9


def test_images_taken_for_patients_seem_more_certain_than_they_are():
    again = [np.repeat(values, 5) for values in (LABELS, BASE, HEAD)]
    assert paired.delong(*again, np.arange(5 * N)) < paired.delong(LABELS, BASE, HEAD, PATIENTS) / 2


def test_both_classes_in_one_patient_are_allowed():
    mixed = np.arange(N) // 4
    assert 0 < paired.delong(LABELS, BASE, HEAD, mixed) < 1


@pytest.mark.parametrize("swap", [1, -1])
def test_the_order_of_the_models_does_not_change_p(swap):
    p = paired.delong(LABELS, *(BASE, HEAD)[::swap], PATIENTS)
    assert p == pytest.approx(paired.delong(LABELS, BASE, HEAD, PATIENTS))


def test_equal_scores_have_p_of_one_and_a_single_patient_has_none():
    assert paired.delong(LABELS, BASE, BASE, PATIENTS) == 1
    assert paired.mcnemar(LABELS == 1, LABELS == 1, PATIENTS) == 1
    assert paired.delong(LABELS, BASE, HEAD, np.where(LABELS == 1, 0, PATIENTS)) is None


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_with_one_image_a_patient_it_is_mcnemars_exact_test(decisions):
    base, head = np.array(decisions).T
    counts = pd.crosstab(
        pd.Categorical(base, categories=[False, True]), pd.Categorical(head, categories=[False, True]), dropna=False
    ).to_numpy()
    expected = textbook_mcnemar(counts, exact=True).pvalue
    assert paired.mcnemar(base, head, np.arange(len(base))) == pytest.approx(expected, abs=1e-12)


def test_with_many_patients_it_is_the_clustered_statistic_of_yang():
    rng = np.random.default_rng(1)
    patients = np.repeat(np.arange(400), 3)
    hard = rng.random(400)[patients] < 0.3
    base, head = (rng.random(1200) > np.where(hard, chance, 0.05) for chance in (0.5, 0.42))
    by_patient = pd.Series(head.astype(int) - base.astype(int)).groupby(patients).sum()
    z = by_patient.sum() / np.sqrt((by_patient**2).sum())
    assert paired.mcnemar(base, head, patients) == pytest.approx(2 * norm.sf(abs(z)), rel=0.15)


@pytest.mark.parametrize("count", range(1, 13))
def test_holm_is_holm(count):
    values = RNG.choice([0.0, 0.001, 0.02, 0.02, 0.3, 1.0, *RNG.random(6)], count)
    expected = multipletests(values, method="holm")[1]
    assert paired.holm(values) == pytest.approx(list(expected))


def test_what_was_not_tested_counts_for_nothing():
    assert paired.holm([0.02, None, 0.03]) == [0.04, None, 0.04]
    assert paired.holm([]) == []
