"""95 % intervals over patients: textbook cases, patients with several images, and how often they are right."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, binom, t
from statsmodels.stats.proportion import proportion_confint

from benchmarks.coverage import THRESHOLD, simulate
from pneumo.evaluation import intervals, metrics
from pneumo.evaluation.drawn import Drawn, bayes
from pneumo.evaluation.intervals import Sample, independent, mid_p

SETTINGS = {"temperature": 1.0, "prevalence": 0.1}
TABLE = simulate(np.random.default_rng(1), 150)
SINGLE = TABLE.assign(patient=TABLE["image"])  # as if every image had a patient of its own
PERFECT = TABLE.assign(score=0.05 + 0.9 * TABLE["label"], logit=20.0 * TABLE["label"] - 10)  # without a mistake


def bounds_of(table, thresholds=None):
    return metrics.intervals(table, THRESHOLD, **SETTINGS, thresholds=thresholds)


def sample_of(table):
    return Sample.of(table, Drawn.of(table, THRESHOLD, prevalence=0.1))


@pytest.mark.parametrize(("hits", "n"), [(1, 30), (15, 30), (198, 203), (200, 203), (4990, 5000)])
def test_at_the_ends_half_of_what_was_seen_and_all_beyond_has_a_probability_of_2_5_percent(hits, n):
    low, high = mid_p(hits / n, n)
    assert binom.sf(hits, n, low) + binom.pmf(hits, n, low) / 2 == pytest.approx(0.025, abs=1e-9)
    assert binom.cdf(hits - 1, n, high) + binom.pmf(hits, n, high) / 2 == pytest.approx(0.025, abs=1e-9)


@pytest.mark.parametrize(("share", "n", "expected"), [(1.0, 30, (0.05 ** (1 / 30), 1)), (0.0, 1, (0, 0.95))])
def test_without_a_mistake_the_interval_ends_where_that_has_a_probability_of_5_percent(share, n, expected):
    assert mid_p(share, n) == pytest.approx(expected)


@pytest.mark.parametrize("hits", [1, 20, 90, 99])
def test_it_lies_within_clopper_and_pearsons(hits):
    low, high = proportion_confint(hits, 100, method="beta")
    inner = mid_p(hits / 100, 100)
    assert low < inner[0] < hits / 100 < inner[1] < high


@pytest.mark.parametrize(
    ("count", "images", "effective"),
    [
        ([1, 1, 0, 1], [1, 1, 1, 1], 4),  # patients of one image: each is worth one, apart from units / (units - 1)
        ([2, 2, 2, 2], [2, 2, 2, 2], 4),  # nothing seen of the spread: a patient is worth one image
        ([6, 1, 1], [6, 1, 1], 64 / 38),
        ([0, 0, 3, 0], [1, 1, 3, 1], 3),
    ],
)
def test_a_share_has_as_many_independent_images_as_its_patients_say(count, images, effective):
    patient = np.repeat(np.arange(len(images)), images)
    hits = np.concatenate([np.arange(total) < number for number, total in zip(count, images, strict=True)])
    share, rare = np.mean(hits), min(hits.sum(), (~hits).sum())
    if rare and len(set(images)) == 1:  # one design effect from the data, one imagined
        effective = 4 / ((rare * 4 / 3 + 1) / (rare + 1))
    elif rare:
        spread = 4 / 3 * ((np.array(count) - share * np.array(images)) ** 2).sum()
        effective = len(hits) / ((rare * spread / (len(hits) * share * (1 - share)) + 12 / 6) / (rare + 1))
    assert independent(hits, np.ones(len(hits), bool), patient) == pytest.approx((share, effective))


def test_a_share_of_no_images_has_no_interval():
    nothing = np.zeros(3, bool)
    assert independent(nothing, nothing, np.arange(3)) is None


def test_copies_of_a_patients_images_change_little_and_copies_of_patients_much():
    once = TABLE.assign(patient=np.arange(len(TABLE)).astype(str))
    again = pd.concat([once.assign(image=once["image"] + end) for end in "abcd"])
    as_patients = again.assign(patient=again["image"])
    for key, bounds in bounds_of(once).items():
        width = np.ptp(bounds)
        assert np.ptp(bounds_of(again)[key]) == pytest.approx(width, rel=0.08), key
        assert np.ptp(bounds_of(as_patients)[key]) == pytest.approx(width / 2, rel=0.15), key


def test_the_order_of_the_rows_changes_nothing():
    assert bounds_of(TABLE.sample(frac=1, random_state=0)) == bounds_of(TABLE)


def test_images_of_one_patient_taken_for_independent_give_intervals_that_are_too_narrow():
    by_patient, by_image = bounds_of(TABLE), bounds_of(SINGLE)
    for name in ("accuracy", "roc_auc", "brier"):
        assert np.ptp(by_patient[name]) > 1.1 * np.ptp(by_image[name]), name


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
def test_a_model_without_a_mistake_gets_the_interval_of_patients_who_are_all_alike(key, about):
    images = TABLE.loc[about, "patient"].value_counts()
    low, high = bounds_of(PERFECT)[key]
    assert high == 1
    assert low == pytest.approx(0.05 ** ((images**2).sum() / images.sum() ** 2), abs=1e-6)


def test_a_ranking_without_a_mistake_gets_the_interval_of_the_smaller_class():
    normals = TABLE.loc[TABLE["label"] == 0, "patient"].nunique()
    assert normals < TABLE.loc[TABLE["label"] == 1, "patient"].nunique()
    assert bounds_of(PERFECT)["roc_auc"] == pytest.approx([0.05 ** (1 / normals), 1], abs=1e-6)


def test_what_has_no_spread_or_no_image_has_no_interval():
    bounds = bounds_of(PERFECT.assign(subtype="unknown"))
    for key in ("average_precision", "calibration_slope", "recall_viral"):
        assert bounds[key] == [None, None], key


def test_what_hangs_on_one_patient_has_no_interval():
    one_normal = SINGLE[(SINGLE["label"] == 1) | (SINGLE.index == SINGLE.index[SINGLE["label"] == 0][0])]
    for key in ("roc_auc", "calibration_slope", "calibration_intercept"):
        assert bounds_of(one_normal)[key] == [None, None], key


def test_f1_has_the_interval_of_the_share_from_which_it_follows():
    positive, called = TABLE["label"] == 1, TABLE["score"] >= THRESHOLD
    share = independent((positive & called).to_numpy(), (positive | called).to_numpy(), sample_of(TABLE).patient)
    bounds = mid_p(*share)
    assert bounds_of(TABLE)["f1"] == pytest.approx([2 * end / (1 + end) for end in bounds], abs=1e-6)


def test_predictive_values_lie_between_those_of_the_ends_of_recall_and_specificity():
    bounds = bounds_of(TABLE)
    (recall, specificity), prevalence = (np.array(bounds[key]) for key in ("recall", "specificity")), 0.1
    for key, extremes, point in (
        ("ppv", bayes(recall, specificity, prevalence), "ppv"),
        ("npv", bayes(specificity, recall, 1 - prevalence), "npv"),
    ):
        low, high = bounds[key]
        value = metrics.BY_KEY[point].of(Drawn.of(TABLE, THRESHOLD, prevalence=prevalence))[0]
        assert extremes[0] < low < value < high < extremes[1], key


@pytest.mark.parametrize(
    ("labels", "scores", "ppv", "npv"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], "high", "high"),
        ([0, 0, 1, 1], [0.8, 0.9, 0.1, 0.2], "low", "low"),
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], None, "inside"),  # nothing is called pneumonia
        ([1, 1, 1, 1], [0.8, 0.9, 0.1, 0.2], None, None),
    ],
)
def test_predictive_values_at_their_limits(labels, scores, ppv, npv):
    rows = {"image": list("abcd"), "patient": list("abcd"), "label": labels, "subtype": "unknown"}
    bounds = bounds_of(pd.DataFrame(rows | {"score": scores, "logit": scores}))
    for key, where in (("ppv", ppv), ("npv", npv)):
        low, high = bounds[key]
        shape = None if low is None else "low" if low == 0 < high < 1 else "high" if 0 < low < high == 1 else "inside"
        assert shape == where, (key, low, high)


OF_DECISIONS = [metric.key for metric in metrics.METRICS if metric.group in ("decision", "prevalence")]
NEAR = np.random.default_rng(4).normal(THRESHOLD, 0.15, 300)  # thresholds of draws


@pytest.mark.parametrize("thresholds", [np.full(200, THRESHOLD), np.r_[np.full(150, THRESHOLD), np.full(50, np.nan)]])
def test_where_all_draws_give_the_same_threshold_it_is_as_if_it_were_given(thresholds):
    assert bounds_of(TABLE, thresholds) == bounds_of(TABLE)


def test_what_hangs_on_no_threshold_has_the_same_interval_whether_or_not_it_is_redrawn():
    redrawn, fixed = bounds_of(TABLE, NEAR), bounds_of(TABLE)
    for key in fixed:
        assert (redrawn[key] == fixed[key]) == (key not in OF_DECISIONS), key


def test_the_more_thresholds_differ_the_wider_are_recall_and_specificity():
    widths = []
    for spread in (0, 0.5, 1.0):
        bounds = bounds_of(TABLE, THRESHOLD + spread * (NEAR - THRESHOLD))
        widths.append([np.ptp(bounds[key]) for key in ("recall", "specificity", "recall_viral", "ppv", "npv")])
    assert (np.diff(widths, axis=0) > 0).all()


def test_shares_are_mixed_by_their_weights():
    """The ends are the 2.5 and 97.5 % points of the mixture of beta distributions."""
    share, n, weights = np.array([0.9, 0.7, 1.0]), np.array([50, 80.5, 30]), np.array([0.57, 0.4, 0.03])
    x = share * n
    for end, level in zip(mid_p(share, n, weights), (0.025, 0.975), strict=True):
        halves = (beta.cdf(end, x, n - x + 1), np.where(x < n, beta.cdf(end, x + 1, np.maximum(n - x, 1e-9)), 0))
        assert weights @ np.mean(halves, axis=0) == pytest.approx(level, abs=1e-9)


@pytest.mark.parametrize("gap", [0.0, 0.3])
def test_predictive_values_of_two_thresholds_are_those_of_their_rates_together(gap):
    """Their percentiles are those of a million draws of recall and specificity, at one and the same threshold."""
    sample = Sample(sample_of(TABLE).drawn, sample_of(TABLE).patient, np.array([THRESHOLD - gap, THRESHOLD + 0.1]))
    rng, drawn = np.random.default_rng(0), {"recall": [], "specificity": []}
    for images, _ in sample.redrawn:
        for key, label in (("recall", 1), ("specificity", 0)):
            share, n = independent(images.called == label, images.labels == label, sample.patient)
            half = rng.random(500_000) < 0.5
            drawn[key].append(rng.beta(share * n + half, n - share * n + ~half))
    recall, specificity = (np.concatenate(drawn[key]) for key in ("recall", "specificity"))
    for key, of_class, other, prevalence in (("ppv", recall, specificity, 0.1), ("npv", specificity, recall, 0.9)):
        expected = np.percentile(bayes(of_class, other, prevalence), [2.5, 97.5])
        bounds = metrics.BY_KEY[key].interval(metrics.BY_KEY[key].of, sample)
        assert bounds == pytest.approx(expected, abs=0.002), key


def test_predictive_values_change_little_where_thresholds_hardly_differ():
    """Two methods meet here: that of Donner and Zou at one threshold, and a mixture over several."""
    scores = np.sort(TABLE["score"])
    above = scores[np.searchsorted(scores, THRESHOLD) + 1]  # one image is called otherwise
    redrawn, fixed = bounds_of(TABLE, np.r_[np.full(99, THRESHOLD), above]), bounds_of(TABLE)
    for key in ("ppv", "npv"):
        assert redrawn[key] == pytest.approx(fixed[key], abs=0.004), key


@pytest.mark.parametrize(("times", "defined"), [(2, True), (3, False)])
def test_a_metric_that_is_undefined_in_more_than_one_draw_of_forty_has_no_interval(times, defined):
    """Precision and PPV, where nothing is called pneumonia."""
    thresholds = np.r_[np.full(100 - times, THRESHOLD), np.full(times, 2.0)]
    bounds = bounds_of(TABLE, thresholds)
    for key in ("precision", "ppv"):
        assert (bounds[key] != [None, None]) == defined, key
    assert bounds["recall"] != [None, None]


def test_a_metric_that_is_undefined_at_the_threshold_has_no_interval_whatever_the_draws_say():
    bounds = metrics.intervals(TABLE, 2.0, **SETTINGS, thresholds=np.full(10, THRESHOLD))
    assert bounds["precision"] == bounds["ppv"] == [None, None]


def test_with_one_image_a_patient_the_jackknife_of_a_mean_is_its_standard_error():
    """And Student's t has the degrees of freedom that the kurtosis of the errors says, at most one less than images."""
    error = ((SINGLE["score"] - SINGLE["label"]) ** 2).to_numpy()
    low, high = intervals.jackknife(metrics.BY_KEY["brier"].of, sample_of(SINGLE))
    assert (low + high) / 2 == pytest.approx(error.mean())
    squares = (error - error.mean()) ** 2
    freedom = min(len(error) - 1, 2 * len(error) / ((squares**2).mean() / squares.mean() ** 2 - 1))
    expected = t.ppf(0.975, freedom) * error.std(ddof=1) / len(error) ** 0.5
    assert (high - low) / 2 == pytest.approx(expected)


def test_more_patients_than_groups_are_left_out_in_groups_and_the_size_of_chunks_changes_nothing(monkeypatch):
    table = simulate(np.random.default_rng(2), 600)
    each = bounds_of(table)
    monkeypatch.setattr(intervals, "CHUNK", 7 * len(table))
    assert bounds_of(table) == each
    monkeypatch.setattr(intervals, "GROUPS", 200)
    assert sum(len(drawn.weights) for drawn in sample_of(table).without) == 200
    grouped = bounds_of(table)
    for key in ("roc_auc", "average_precision", "brier"):
        assert np.ptp(grouped[key]) == pytest.approx(np.ptp(each[key]), rel=0.25), key
    for key in ("recall", "ppv"):
        assert grouped[key] == each[key]


@pytest.mark.parametrize("truth", [0.98, 0.99])
@pytest.mark.parametrize("images", [[1], [1, 1, 1, 1, 2, 2, 3, 6]])
def test_of_203_patients_the_truth_is_held_in_at_least_93_percent_of_samples(truth, images):
    """Percentiles of resamples held it in 92.2 and 89.9 %. Few images are rare, so 97 % may be exceeded."""
    held = 0
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        patient = np.repeat(np.arange(203), rng.choice(images, 203))
        low, high = mid_p(*independent(rng.random(len(patient)) < truth, np.ones(len(patient), bool), patient))
        held += low <= truth <= high
    assert 0.93 <= held / 1000 <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize(("patients", "distance"), [(100, 2.4), (100, 5.0), (430, 2.4)])
def test_ninety_five_percent_intervals_hold_the_truth_as_often_as_they_say(patients, distance):
    """In 300 simulated test sets; the truth is that of 400,000 patients. benchmarks/coverage.py has the whole grid."""
    large = simulate(np.random.default_rng(99), 400_000, distance=distance)
    once = Drawn.of(large, THRESHOLD, prevalence=0.1)
    truth = {metric.key: metric.of(once)[0] for metric in metrics.METRICS if metric.interval}
    held = dict.fromkeys(truth, 0)
    for seed in range(300):
        table = simulate(np.random.default_rng(seed), patients, distance=distance)
        for key, (low, high) in bounds_of(table).items():
            held[key] += low is None or low <= truth[key] <= high
    assert min(held.values()) >= 0.91 * 300, held
    assert held["roc_auc"] <= 0.985 * 300
