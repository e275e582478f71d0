import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar

from benchmarks.coverage import THRESHOLD, second_model, simulate
from pneumo.evaluation import bootstrap, metrics
from pneumo.evaluation.drawn import Drawn

TABLE = simulate(np.random.default_rng(1), 150)
SINGLE = TABLE.assign(patient=TABLE["image"])  # as if every image had a patient of its own


def test_patients_are_drawn_whole_and_as_many_as_there_are():
    (weights,) = bootstrap.patient_weights(["b", "a", "b", "c"], resamples=50, seed=0)
    assert weights.shape == (50, 4)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_the_size_of_chunks_changes_no_number(monkeypatch):
    whole = np.concatenate(list(bootstrap.patient_weights(TABLE["patient"], resamples=50, seed=0)))
    monkeypatch.setattr(bootstrap, "CHUNK", 7 * len(TABLE))
    chunks = list(bootstrap.patient_weights(TABLE["patient"], resamples=50, seed=0))
    assert [len(chunk) for chunk in chunks] == [7] * 7 + [1]
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


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


@pytest.mark.slow
def test_ninety_five_percent_intervals_of_differences_hold_the_truth_as_often_as_they_say():
    """400 simulated test sets with patients of several images; the truth is that of 400,000 patients.

    With 400 resamples, to save time. benchmarks/coverage.py has other sizes and all metrics.
    """
    keys = ("accuracy", "recall", "specificity", "f1", "roc_auc")

    def differences(table, seed, weights):
        models = (Drawn.of(model, THRESHOLD, weights=weights) for model in (table, second_model(table, seed)))
        first, second = ({key: metrics.BY_KEY[key].of(model) for key in keys} for model in models)
        return {key: first[key] - second[key] for key in keys}

    large = simulate(np.random.default_rng(99), 400_000)
    truth = differences(large, 99, np.ones((1, len(large))))
    covered = dict.fromkeys(truth, 0)
    for seed in range(400):
        table = simulate(np.random.default_rng(seed), 430)
        (weights,) = bootstrap.patient_weights(table["patient"], resamples=400, seed=seed)
        for key, draws in differences(table, seed, weights).items():
            low, high = np.percentile(draws, [2.5, 97.5])
            covered[key] += low <= truth[key][0] <= high
    assert all(0.92 <= count / 400 <= 0.975 for count in covered.values()), covered
