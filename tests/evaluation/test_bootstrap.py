from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar

from benchmarks import coverage
from benchmarks.coverage import THRESHOLD, simulate
from pneumo.evaluation import bootstrap, metrics
from pneumo.evaluation.drawn import Drawn

SETTINGS = {"temperature": 1.0, "prevalence": 0.1, "resamples": 2000, "seed": 0}


TABLE = simulate(np.random.default_rng(1), 150)
SINGLE = TABLE.assign(patient=TABLE["image"])  # as if every image had a patient of its own


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 3)), min_size=4, max_size=40).filter(
        lambda rows: len({label for label, _, weight in rows if weight}) == 2
    )
)
def test_weighted_metrics_are_those_of_scikit_learn(rows):
    labels, scores, weights = map(np.array, zip(*rows, strict=True))
    y, s, w = labels.astype(float), scores / 5, weights.astype(float)
    drawn = replace(Drawn.once(y, s, 0.5, np.full(len(y), "viral")), weights=w[None])
    found = {metric.key: metric.of(drawn) for metric in metrics.METRICS if metric.group in ("decision", "ranking")}
    called, kwargs = s >= 0.5, {"sample_weight": w}
    expected = {
        "roc_auc": sk.roc_auc_score(y, s, **kwargs),
        "average_precision": sk.average_precision_score(y, s, **kwargs),
        "accuracy": sk.accuracy_score(y, called, **kwargs),
        "recall": sk.recall_score(y, called, **kwargs),
        "specificity": sk.recall_score(y, called, pos_label=0, **kwargs),
        "precision": sk.precision_score(y, called, zero_division=np.nan, **kwargs),
        "f1": sk.f1_score(y, called, zero_division=0, **kwargs),
        "recall_viral": sk.recall_score(y, called, **kwargs),
    }
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, nan_ok=True), name


def test_patients_are_drawn_whole_and_as_many_as_there_are():
    (weights,) = bootstrap.patient_weights(["b", "a", "b", "c"], resamples=50, seed=0)
    assert weights.shape == (50, 4)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_chunks_draw_what_one_piece_draws(monkeypatch):
    whole = np.concatenate(list(bootstrap.patient_weights(TABLE["patient"], resamples=50, seed=0)))
    monkeypatch.setattr(bootstrap, "CHUNK", 7 * len(TABLE))
    parts = list(bootstrap.patient_weights(TABLE["patient"], resamples=50, seed=0))
    assert len(parts) == 8
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_the_order_of_the_rows_changes_nothing():
    shuffled = TABLE.sample(frac=1, random_state=0)
    assert bootstrap.intervals(shuffled, THRESHOLD, **SETTINGS) == bootstrap.intervals(TABLE, THRESHOLD, **SETTINGS)


def test_with_one_image_a_patient_it_agrees_with_scipy():
    ours = bootstrap.intervals(SINGLE, THRESHOLD, **SETTINGS)
    y, s = SINGLE["label"].to_numpy(), SINGLE["score"].to_numpy()

    def interval(metric):
        return scipy.stats.bootstrap(
            (y, s), metric, paired=True, vectorized=False, n_resamples=2000, method="percentile", rng=3
        ).confidence_interval

    for name, metric in {
        "accuracy": lambda a, b: np.mean((b >= THRESHOLD) == a),
        "roc_auc": sk.roc_auc_score,
        "f1": lambda a, b: sk.f1_score(a, b >= THRESHOLD),
    }.items():
        assert ours[name] == pytest.approx(list(interval(metric)), abs=0.008), name


def test_images_of_one_patient_taken_for_independent_give_intervals_that_are_too_narrow():
    by_patient, by_image = (bootstrap.intervals(one, THRESHOLD, **SETTINGS) for one in (TABLE, SINGLE))
    for name in ("accuracy", "roc_auc", "brier"):
        assert np.diff(by_patient[name]) > 1.1 * np.diff(by_image[name]), name


@pytest.mark.parametrize("name", ["accuracy", "recall", "specificity", "precision"])
def test_a_model_without_a_mistake_gets_the_interval_of_wilson(name):
    label = TABLE["label"]
    perfect = TABLE.assign(score=0.05 + 0.9 * label, logit=20.0 * label - 10)
    low, high = bootstrap.intervals(perfect, THRESHOLD, **SETTINGS)[name]
    about = {"accuracy": label >= 0, "specificity": label == 0}.get(name, label == 1)
    patients = TABLE.loc[about, "patient"].nunique()
    assert high == 1
    assert low == pytest.approx(1 / (1 + 1.959964**2 / patients), abs=1e-6)


def test_what_cannot_be_had_is_null_not_a_number():
    label = TABLE["label"]
    perfect = TABLE.assign(score=0.05 + 0.9 * label, logit=20.0 * label - 10, subtype="unknown")
    found = bootstrap.intervals(perfect, THRESHOLD, **SETTINGS)
    for name in ("roc_auc", "f1", "calibration_slope", "recall_viral"):
        assert found[name] == [None, None], name


def delong_variance(labels, one, other) -> float:
    """Variance of the difference of two ROC AUCs: DeLong, DeLong & Clarke-Pearson 1988."""
    parts = []
    for s in (one, other):
        pos, neg = s[labels == 1], s[labels == 0]
        wins = (pos[:, None] > neg) + 0.5 * (pos[:, None] == neg)
        parts.append((wins.mean(axis=1), wins.mean(axis=0)))
    differences = [a - b for a, b in zip(*parts, strict=True)]
    return sum(np.var(d, ddof=1) / len(d) for d in differences)


def test_paired_differences_of_independent_images_spread_as_delong_and_mcnemar_say():
    rng = np.random.default_rng(5)
    other = SINGLE.assign(logit=SINGLE["logit"] + rng.normal(0, 1.0, len(SINGLE)))
    other["score"] = 1 / (1 + np.exp(-other["logit"]))
    tables, thresholds = {"one": SINGLE, "other": other}, {"one": 0.5, "other": 0.5}
    drawn = bootstrap.paired(tables, thresholds, ["roc_auc", "accuracy"], resamples=4000, seed=0)
    draws = {name: of["roc_auc"] for name, of in drawn.items()}
    y, a, b = SINGLE["label"].to_numpy(), SINGLE["score"].to_numpy(), other["score"].to_numpy()
    assert np.std(draws["one"] - draws["other"]) == pytest.approx(delong_variance(y, a, b) ** 0.5, rel=0.1)
    draws = {name: of["accuracy"] for name, of in drawn.items()}
    right = [(s >= 0.5) == y for s in (a, b)]
    counts = pd.crosstab(*right).to_numpy()
    chi2 = mcnemar(counts, exact=False, correction=False).statistic
    difference = right[0].mean() - right[1].mean()
    discordant = counts[0, 1] + counts[1, 0]
    expected = (discordant / len(y) ** 2 - difference**2 / len(y)) ** 0.5
    assert np.std(draws["one"] - draws["other"]) == pytest.approx(expected, rel=0.1)
    assert chi2 == pytest.approx((difference * len(y)) ** 2 / discordant)


def test_bands_hold_the_curve_and_touch_its_ends():
    grid = np.linspace(0, 1, 21)
    low, high = bootstrap.roc_band(TABLE, grid, resamples=300, seed=0)
    fpr, tpr, _ = sk.roc_curve(TABLE["label"], TABLE["score"], drop_intermediate=False)
    recall = np.array([tpr[fpr <= at][-1] for at in grid])
    assert (low <= recall + 0.02).all()
    assert (recall <= high + 0.02).all()
    assert (low[-1], high[-1]) == (1, 1)
    low, high = bootstrap.precision_recall_band(TABLE, grid, resamples=300, seed=0)
    assert (low <= high).all()
    assert low[-1] <= TABLE["label"].mean() <= low[-1] + 0.2


@pytest.mark.slow
def test_ninety_five_percent_intervals_cover_the_truth_as_often_as_they_say():
    """1,000 simulated test parts with patients of several images; the truth is that of 400,000 patients.

    With 600 resamples, to save time; benchmarks/coverage.py has all metrics and the 2,000 resamples of params.yaml.
    """
    large = simulate(np.random.default_rng(99), 400_000)
    truth, worse = (coverage.drawn(one, np.ones((1, len(large)))) for one in (large, coverage.second_model(large, 99)))
    covered = dict.fromkeys(["accuracy", "recall", "specificity", "f1", "roc_auc", "difference"], 0)
    for seed in range(1000):
        one = simulate(np.random.default_rng(seed), 430)
        (weights,) = bootstrap.patient_weights(one["patient"], resamples=600, seed=seed)
        found, other = (coverage.drawn(table, weights) for table in (one, coverage.second_model(one, seed)))
        found["difference"] = found["roc_auc"] - other["roc_auc"]
        for name in covered:
            low, high = bootstrap.percentiles(found[name])
            expected = truth["roc_auc"] - worse["roc_auc"] if name == "difference" else truth[name]
            covered[name] += low <= expected[0] <= high
    assert all(930 <= count <= 970 for count in covered.values()), covered
