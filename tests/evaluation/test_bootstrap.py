import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar

from benchmarks.coverage import THRESHOLD, second_model, simulate
from pneumo.evaluation import bootstrap, metrics
from pneumo.evaluation.drawn import Drawn

SETTINGS = {"temperature": 1.0, "prevalence": 0.1, "resamples": 2000, "seed": 0}
TABLE = simulate(np.random.default_rng(1), 150)
SINGLE = TABLE.assign(patient=TABLE["image"])  # as if every image had a patient of its own
PERFECT = TABLE.assign(score=0.05 + 0.9 * TABLE["label"], logit=20.0 * TABLE["label"] - 10)  # without a mistake


def test_patients_are_drawn_whole_and_as_many_as_there_are():
    (weights,) = bootstrap.patient_weights(["b", "a", "b", "c"], resamples=50, seed=0)
    assert weights.shape == (50, 4)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_the_size_of_chunks_changes_no_number(monkeypatch):
    settings = SETTINGS | {"resamples": 50}
    whole = np.concatenate(list(bootstrap.patient_weights(TABLE["patient"], resamples=50, seed=0)))
    intervals = bootstrap.intervals(TABLE, THRESHOLD, **settings)
    monkeypatch.setattr(bootstrap, "CHUNK", 7 * len(TABLE))
    chunks = list(bootstrap.patient_weights(TABLE["patient"], resamples=50, seed=0))
    assert [len(chunk) for chunk in chunks] == [7] * 7 + [1]
    np.testing.assert_array_equal(np.concatenate(chunks), whole)
    assert bootstrap.intervals(TABLE, THRESHOLD, **settings) == intervals


def test_the_order_of_the_rows_changes_nothing():
    shuffled = TABLE.sample(frac=1, random_state=0)
    assert bootstrap.intervals(shuffled, THRESHOLD, **SETTINGS) == bootstrap.intervals(TABLE, THRESHOLD, **SETTINGS)


def mann_whitney(labels, scores):
    """ROC AUC of each row of resamples, [..., n] -> [...]."""
    ranks = scipy.stats.rankdata(scores, axis=-1)
    pneumonias = labels.sum(axis=-1)
    below = (ranks * labels).sum(axis=-1) - pneumonias * (pneumonias + 1) / 2
    return below / (pneumonias * (labels.shape[-1] - pneumonias))


@pytest.mark.parametrize(
    ("key", "definition"),
    [
        ("accuracy", lambda y, s: np.mean((s >= THRESHOLD) == y, axis=-1)),
        ("roc_auc", mann_whitney),
        ("f1", lambda y, s: 2 * (y * (s >= THRESHOLD)).sum(-1) / (y.sum(-1) + (s >= THRESHOLD).sum(-1))),
    ],
)
def test_with_one_image_a_patient_it_agrees_with_scipy(key, definition):
    columns = SINGLE["label"].to_numpy(), SINGLE["score"].to_numpy()
    settings = {"paired": True, "vectorized": True, "n_resamples": 2000, "method": "percentile", "rng": 3}
    expected = scipy.stats.bootstrap(columns, lambda y, s, axis: definition(y, s), **settings).confidence_interval
    assert bootstrap.intervals(SINGLE, THRESHOLD, **SETTINGS)[key] == pytest.approx(list(expected), abs=0.008)


def test_images_of_one_patient_taken_for_independent_give_intervals_that_are_too_narrow():
    by_patient, by_image = (bootstrap.intervals(table, THRESHOLD, **SETTINGS) for table in (TABLE, SINGLE))
    for name in ("accuracy", "roc_auc", "brier"):
        assert np.diff(by_patient[name]) > 1.1 * np.diff(by_image[name]), name


@pytest.mark.parametrize(
    ("key", "about"),
    [
        ("accuracy", TABLE["label"] >= 0),
        ("recall", TABLE["label"] == 1),
        ("specificity", TABLE["label"] == 0),
        ("precision", TABLE["label"] == 1),
        ("recall_viral", TABLE["subtype"] == "viral"),
    ],
)
def test_a_model_without_a_mistake_gets_the_interval_of_wilson(key, about):
    low, high = bootstrap.intervals(PERFECT, THRESHOLD, **SETTINGS)[key]
    patients = TABLE.loc[about, "patient"].nunique()
    assert high == 1
    assert low == pytest.approx(1 / (1 + 1.959964**2 / patients), abs=1e-6)


def test_where_resamples_say_nothing_the_interval_is_null():
    intervals = bootstrap.intervals(PERFECT.assign(subtype="unknown"), THRESHOLD, **SETTINGS)
    for key in ("roc_auc", "f1", "calibration_slope", "recall_viral"):
        assert intervals[key] == [None, None], key


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(1001.0), [25, 975]),
        (np.r_[np.arange(981.0), [np.nan] * 20], [24.5, 955.5]),  # 2 % undefined
        (np.r_[np.arange(971.0), [np.nan] * 30], [None, None]),  # 3 %
        (np.ones(1000), [None, None]),
    ],
)
def test_the_interval_is_the_middle_95_percent_of_the_resamples_that_have_the_metric(values, expected):
    assert bootstrap.percentiles(values) == expected


def delong_variance(labels, base, head) -> float:
    """Variance of the difference of two ROC AUCs: DeLong, DeLong & Clarke-Pearson 1988."""
    components = []
    for s in (base, head):
        pos, neg = s[labels == 1], s[labels == 0]
        wins = (pos[:, None] > neg) + 0.5 * (pos[:, None] == neg)
        components.append((wins.mean(axis=1), wins.mean(axis=0)))
    differences = [a - b for a, b in zip(*components, strict=True)]
    return sum(np.var(d, ddof=1) / len(d) for d in differences)


def test_paired_differences_of_independent_images_spread_as_delong_and_mcnemar_say():
    rng = np.random.default_rng(5)
    head = SINGLE.assign(logit=SINGLE["logit"] + rng.normal(0, 1.0, len(SINGLE)))
    head["score"] = 1 / (1 + np.exp(-head["logit"]))
    tables, thresholds = {"base": SINGLE, "head": head}, {"base": 0.5, "head": 0.5}
    draws = bootstrap.paired(tables, thresholds, ["roc_auc", "accuracy"], resamples=4000, seed=0)
    spread = {key: np.std(draws["base"][key] - draws["head"][key]) for key in ("roc_auc", "accuracy")}
    y, base_scores, head_scores = SINGLE["label"].to_numpy(), SINGLE["score"].to_numpy(), head["score"].to_numpy()
    assert spread["roc_auc"] == pytest.approx(delong_variance(y, base_scores, head_scores) ** 0.5, rel=0.1)
    correct = [(s >= 0.5) == y for s in (base_scores, head_scores)]
    counts = pd.crosstab(*correct).to_numpy()
    chi2 = mcnemar(counts, exact=False, correction=False).statistic
    difference = correct[0].mean() - correct[1].mean()
    discordant = counts[0, 1] + counts[1, 0]
    assert spread["accuracy"] == pytest.approx((discordant / len(y) ** 2 - difference**2 / len(y)) ** 0.5, rel=0.1)
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


def measured(table: pd.DataFrame, seed: int, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of a model under each row of `weights`, and its lead over a second model on the same images."""
    keys = ("accuracy", "recall", "specificity", "f1", "roc_auc")
    images, others = (Drawn.of(model, THRESHOLD, weights=weights) for model in (table, second_model(table, seed)))
    values = {key: metrics.BY_KEY[key].of(images) for key in keys}
    return values | {"difference": values["roc_auc"] - metrics.BY_KEY["roc_auc"].of(others)}


@pytest.mark.slow
def test_ninety_five_percent_intervals_cover_the_truth_as_often_as_they_say():
    """400 simulated test sets with patients of several images; the truth is that of 400,000 patients.

    With 400 resamples, to save time. benchmarks/coverage.py has 1,000 sets, all metrics and the 2,000 resamples of
    params.yaml.
    """
    large = simulate(np.random.default_rng(99), 400_000)
    truth = measured(large, 99, np.ones((1, len(large))))
    covered = dict.fromkeys(truth, 0)
    for seed in range(400):
        table = simulate(np.random.default_rng(seed), 430)
        (weights,) = bootstrap.patient_weights(table["patient"], resamples=400, seed=seed)
        for key, draws in measured(table, seed, weights).items():
            low, high = bootstrap.percentiles(draws)
            covered[key] += low <= truth[key][0] <= high
    assert all(0.92 <= count / 400 <= 0.975 for count in covered.values()), covered
