"""How often 95 % intervals hold the truth, and how wide they are, beside the percentile bootstrap over patients.

    python -m benchmarks.coverage                        # all three parts
    python -m benchmarks.coverage shares models          # the first two: 16 minutes of one core
    python -m benchmarks.coverage thresholds             # the third

1. Shares, such as recall: 1,000 simulated samples of 30 to 5,000 patients for each true value from 0.5 to 0.995. One
   image a patient; one to six, independent; and one to six whose chances share what is particular to the patient.
2. All metrics of a model, and paired differences to a second one on the same images: 300 simulated test sets for each
   number of patients and each true ROC AUC. The truth is that of 400,000 patients of the same kind.
3. Decisions with a threshold from a validation set: 200 pairs of a validation and a test set for each policy, each ROC
   AUC and each number of patients of both, with the threshold taken for given (fixed) or found anew in each draw of the
   validation patients (redrawn). The truth is the mean, over 400 validation sets, of the true value at the threshold
   found there.

93 to 97 % is right. Shares of few images jump from one count to the next: of 203 images at 0.995 all are right in 36 %
of samples, so that no interval holds the truth in exactly 95 %.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy import special  # not its functions: joblib cannot send them to other processes

from pneumo.evaluation import bootstrap, decision, metrics, thresholds
from pneumo.evaluation.drawn import Drawn, bayes
from pneumo.evaluation.intervals import Sample, independent, mid_p
from pneumo.params import Threshold

THRESHOLD, PREVALENCE = 0.5, 0.1
IMAGES = [1, 1, 1, 1, 2, 2, 3, 6]  # of a patient, equally likely
SHARES, PATIENTS = (0.5, 0.7, 0.9, 0.95, 0.98, 0.99, 0.995), (30, 60, 100, 203, 430, 1000, 5000)
KINDS = {"one image a patient": None, "1 to 6 images, independent": 0.0, "1 to 6 images, alike": 1.5}
SAMPLES, RESAMPLES = 1000, 1000
ROC_AUC, TEST_SETS, MODEL_PATIENTS = (0.7, 0.9, 0.98, 0.995), 300, (30, 100, 430)
DIFFERENCES = ("roc_auc", "average_precision", "accuracy", "recall", "specificity", "precision", "f1")
NOISE = (1.0, 0.7)  # of logits: of a patient, of an image
POLICIES = {
    "youden": Threshold(scores="plain", policy="youden", value=None, error_rates=[0.05]),
    "sensitivity 0.95": Threshold(scores="plain", policy="sensitivity", value=0.95, error_rates=[0.05]),
}
POLICY_ROC_AUC, VALIDATION_PATIENTS, TEST_PATIENTS = (0.9, 0.98), (60, 200, 800), (100, 430)
PAIRS, VALIDATION_SETS, DRAWS = 200, 400, 500
DECISIONS = ("accuracy", "recall", "specificity", "precision", "f1", "recall_viral", "ppv", "npv")
Array = NDArray[np.float64]


def simulate(rng: np.random.Generator, patients: int, spread: float = NOISE[0], distance: float = 2.4) -> pd.DataFrame:
    """Patients of one to six images, whose logits share what is particular to the patient. `distance`: of classes."""
    count = rng.choice(IMAGES, size=patients)
    of = np.repeat(np.arange(patients), count)
    label = (rng.random(patients) < 0.6).astype(int)[of]
    z = distance * (label - 0.5) + rng.normal(0, spread, patients)[of] + rng.normal(0, NOISE[1], len(of))
    rows = {"image": [f"{i:05}" for i in range(len(of))], "patient": of.astype(str), "label": label}
    subtype = np.where(label == 0, "normal", np.where(of % 2, "bacterial", "viral"))
    return pd.DataFrame(rows | {"subtype": subtype, "score": special.expit(z), "logit": z})


def second_model(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A slightly worse model on the same images."""
    z = 0.9 * table["logit"] + np.random.default_rng(1_000_000 + seed).normal(0, 0.8, len(table))
    return table.assign(logit=z, score=special.expit(z))


def percentile(values: Array) -> tuple[float, float]:
    """The middle 95 % of resampled values; nothing where a tenth or more of them are undefined."""
    finite = values[np.isfinite(values)]
    return tuple(np.percentile(finite, [2.5, 97.5])) if len(finite) > 0.9 * len(values) else (np.nan, np.nan)


def shares(share: float, patients: int, alike: float | None) -> dict[str, float]:
    """Coverage and mean width of our interval and of the percentile bootstrap."""
    rng = np.random.default_rng([patients, int(1000 * share), int(10 * (alike or 0)), alike is None])
    bounds: dict[str, list[tuple[float, float]]] = {"ours": [], "percentile": []}
    of_patient = _of_patient(share, alike or 0.0)
    for _ in range(SAMPLES):
        total = np.ones(patients, dtype=int) if alike is None else rng.choice(IMAGES, size=patients)
        count = rng.binomial(total, of_patient(rng, patients))
        patient = np.repeat(np.arange(patients), total)
        first = np.repeat(total.cumsum() - total, total)
        hits = np.arange(total.sum()) - first < np.repeat(count, total)
        worth = independent(hits, np.ones(len(hits), bool), patient)
        assert worth  # None only without images
        bounds["ours"].append(mid_p(*worth))
        kinds, number = np.unique(np.stack([count, total]), axis=1, return_counts=True)  # the same patients are one
        drawn = rng.multinomial(patients, number / patients, size=RESAMPLES) @ kinds.T
        bounds["percentile"].append(percentile(drawn[:, 0] / drawn[:, 1]))
    return {name: value for method, pairs in bounds.items() for name, value in _quality(method, pairs, share).items()}


def _of_patient(share: float, alike: float) -> Callable[[np.random.Generator, int], Array]:
    """Chances of patients that differ by `alike` on the logit scale and have the mean `share`."""
    if not alike:
        return lambda rng, patients: np.full(patients, share)
    differing = alike * special.ndtri((np.arange(20_000) + 0.5) / 20_000)
    low, high = special.logit(share) - 20, special.logit(share) + 20
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if special.expit(middle + differing).mean() < share else (low, middle)
    return lambda rng, patients: special.expit(low + rng.normal(0, alike, patients))


def _quality(name: str, bounds: list[tuple[float, float]], truth: float) -> dict[str, float]:
    low, high = np.array(bounds).T
    defined = np.isfinite(low)
    holds = (low <= truth + 1e-9) & (truth - 1e-9 <= high)
    return {
        f"{name} holds": holds[defined].mean() if defined.any() else np.nan,
        f"{name} width": (high - low)[defined].mean() if defined.any() else np.nan,
        f"{name} undefined": 1 - defined.mean(),
    }


def model(roc_auc: float, patients: int) -> pd.DataFrame:
    """The same of each metric of a model and of DIFFERENCES to a second one."""
    distance = special.ndtri(roc_auc) * np.sqrt(2 * (NOISE[0] ** 2 + NOISE[1] ** 2))
    large = simulate(np.random.default_rng(99), 400_000, distance=distance)
    once, of_second = of_metrics(large, None), of_metrics(second_model(large, -1), None, DIFFERENCES)
    truth = {key: float(value[0]) for key, value in once.items()}
    truth |= {f"difference of {key}": float(once[key][0] - of_second[key][0]) for key in DIFFERENCES}
    found = [_test_set(seed, patients, distance) for seed in range(TEST_SETS)]
    rows: dict[str, dict[str, float]] = {}
    for key in truth:
        methods = found[0][key]
        rows[key] = {}
        for method in methods:
            rows[key] |= _quality(method, [one[key][method] for one in found], truth[key])
    return pd.DataFrame(rows).T.rename_axis("metric").reset_index().assign(roc_auc=roc_auc, patients=patients)


def of_metrics(table: pd.DataFrame, weights: Array | None, keys: tuple[str, ...] | None = None) -> dict[str, Array]:
    """The metrics that have intervals, under each row of `weights` [b, n] -> [b] each."""
    images = Drawn.of(table, THRESHOLD, prevalence=PREVALENCE, weights=weights)
    return {m.key: m.of(images) for m in metrics.METRICS if m.interval and (keys is None or m.key in keys)}


def _test_set(seed: int, patients: int, distance: float) -> dict[str, dict[str, tuple[float, float]]]:
    table = simulate(np.random.default_rng([seed, patients]), patients, distance=distance)
    ours = metrics.intervals(table, THRESHOLD, temperature=1.0, prevalence=PREVALENCE)
    (weights,) = bootstrap.patient_weights(table["patient"], resamples=RESAMPLES, seed=seed)
    drawn, second = of_metrics(table, weights), of_metrics(second_model(table, seed), weights, DIFFERENCES)
    found = {
        key: {"ours": tuple(np.array(ours[key], dtype=float)), "percentile": percentile(values)}
        for key, values in drawn.items()
    }
    return found | {f"difference of {key}": {"percentile": percentile(drawn[key] - second[key])} for key in DIFFERENCES}


class Population:
    """400,000 patients, and what is true of them at any threshold."""

    def __init__(self, distance: float) -> None:
        large = simulate(np.random.default_rng(99), 400_000, distance=distance)
        of_class = large.groupby(large["subtype"].where(large["label"] == 1, "normal"))["score"]
        self.scores = {name: np.sort(scores.to_numpy()) for name, scores in of_class}

    def at(self, threshold: Array) -> dict[str, Array]:
        """DECISIONS at each threshold, [t] each."""
        n = {name: len(scores) for name, scores in self.scores.items()}
        called = {name: n[name] - np.searchsorted(scores, threshold) for name, scores in self.scores.items()}
        positives, tp, fp = n["bacterial"] + n["viral"], called["bacterial"] + called["viral"], called["normal"]
        recall, specificity = tp / positives, 1 - fp / n["normal"]
        return {
            "accuracy": (tp + n["normal"] - fp) / (positives + n["normal"]),
            "recall": recall,
            "specificity": specificity,
            "precision": tp / np.maximum(tp + fp, 1),
            "f1": 2 * tp / (tp + fp + positives),
            "recall_viral": called["viral"] / n["viral"],
            "ppv": bayes(recall, specificity, PREVALENCE),
            "npv": bayes(specificity, recall, 1 - PREVALENCE),
        }


def policy(name: str, roc_auc: float, validation: int, test: int) -> pd.DataFrame:
    """Coverage and mean width for DECISIONS, with the threshold fixed and redrawn. `spread`: SD of the true value at
    the threshold, over validation sets and over draws of the patients of one.
    """
    distance = special.ndtri(roc_auc) * np.sqrt(2 * (NOISE[0] ** 2 + NOISE[1] ** 2))
    population, rule = Population(distance), POLICIES[name]
    found = []
    for seed in range(VALIDATION_SETS):
        table = simulate(np.random.default_rng([1, seed, validation]), validation, distance=distance)
        found.append(thresholds.find(table["label"], table["score"], rule.policy, rule.value))
    over_sets = population.at(np.array(found))
    bounds: dict[str, dict[str, list[tuple[float, float]]]] = {key: {"fixed": [], "redrawn": []} for key in DECISIONS}
    variances: dict[str, list[float]] = {key: [] for key in DECISIONS}
    for seed in range(PAIRS):
        of_validation, of_test = (
            simulate(np.random.default_rng([part, seed, patients]), patients, distance=distance)
            for part, patients in ((2, validation), (3, test))
        )
        threshold = thresholds.find(of_validation["label"], of_validation["score"], rule.policy, rule.value)
        drawn = decision.threshold_draws(of_validation, None, 1.0, rule, resamples=DRAWS, seed=seed)
        images = Drawn.of(of_test, threshold, prevalence=PREVALENCE)
        for method, draws in (("fixed", None), ("redrawn", drawn)):
            sample = Sample.of(of_test, images, draws)
            for key in DECISIONS:
                metric = metrics.BY_KEY[key]
                assert metric.interval  # as all DECISIONS have
                bounds[key][method].append(metric.interval(metric.of, sample) or (np.nan, np.nan))
        for key, values in population.at(drawn[np.isfinite(drawn)]).items():
            variances[key].append(values.var())
    rows = {}
    for key in DECISIONS:
        rows[key] = {"spread": over_sets[key].std(), "spread of draws": np.mean(variances[key]) ** 0.5}
        for method, pairs in bounds[key].items():
            rows[key] |= _quality(method, pairs, over_sets[key].mean())
    about: dict[str, Any] = {"policy": name, "roc_auc": roc_auc, "validation": validation, "test": test}
    return pd.DataFrame(rows).T.rename_axis("metric").reset_index().assign(**about)


def print_thresholds() -> None:
    cells = [
        (name, roc_auc, validation, test)
        for validation in reversed(VALIDATION_PATIENTS)
        for test in TEST_PATIENTS
        for roc_auc in POLICY_ROC_AUC
        for name in POLICIES
    ]
    table = pd.concat(Parallel(n_jobs=-1, batch_size=1)(delayed(policy)(*cell) for cell in cells))
    error = 100 * (0.95 * 0.05 / PAIRS) ** 0.5
    print(f"Decisions at a threshold from validation: {PAIRS} pairs of sets a cell; simulation error {error:.1f} %\n")
    for name, rows in table.groupby("policy", sort=False):
        print(f"{name}: per cent that hold the truth, least to most, and mean width")
        for by in (["validation"], ["validation", "metric"], ["validation", "test", "roc_auc"]):
            print(_by_method(rows, by), end="\n\n")
    table["ratio"] = table["spread of draws"] / table["spread"]
    print("SD of the true value over draws of one validation set, as a share of that over validation sets")
    print(
        table.groupby(["policy", "validation", "roc_auc"])["ratio"].agg(["min", "median", "max"]).round(2).to_string()
    )
    print("\nAll cells")
    columns = [f"{method} {what}" for method in ("fixed", "redrawn") for what in ("holds", "width", "undefined")]
    cells = table.set_index(["policy", "validation", "test", "roc_auc", "metric"])[[*columns, "spread", "ratio"]]
    print(cells.round(3).to_string())


def _by_method(table: pd.DataFrame, by: list[str]) -> str:
    columns = {}
    for method in ("fixed", "redrawn"):
        for what in ("min", "median", "max"):
            columns[f"{method} {what}"] = (100 * table.groupby(by)[f"{method} holds"].agg(what)).round(1)
        columns[f"{method} width"] = table.groupby(by)[f"{method} width"].mean().round(3)
    return pd.DataFrame(columns).to_string()


def main(parts: list[str]) -> None:
    for part in parts or PARTS:
        PARTS[part]()


def print_shares() -> None:
    cells = [(share, patients, kind) for kind in KINDS for patients in PATIENTS for share in SHARES]
    found = Parallel(n_jobs=-1)(delayed(shares)(share, patients, KINDS[kind]) for share, patients, kind in cells)
    table = pd.DataFrame(cells, columns=["share", "patients", "kind"]).join(pd.DataFrame(found))
    print(f"Shares: {SAMPLES} samples a cell. Per cent that hold the truth (percentile bootstrap), and mean width\n")
    for kind, rows in table.groupby("kind", sort=False):
        cell = [
            f"{100 * a:.1f} ({100 * b:.1f}) {c:.3f} ({d:.3f})"
            for a, b, c, d in rows[["ours holds", "percentile holds", "ours width", "percentile width"]].to_numpy()
        ]
        print(f"{kind}\n{rows.assign(cell=cell).pivot(index='patients', columns='share', values='cell').to_string()}\n")
    print(_summary(table, ["kind"]))
    wide = table[table["ours holds"] > 0.97]
    rare = (wide["patients"] * (1 - wide["share"])).max()
    print(
        f"above 97 %: {len(wide)} of {len(table)} cells, all with {rare:.0f} or fewer patients expected to err",
        flush=True,
    )


def print_models() -> None:
    jobs = [(roc_auc, patients) for patients in reversed(MODEL_PATIENTS) for roc_auc in ROC_AUC]
    by_metric = pd.concat(Parallel(n_jobs=-1, batch_size=1)(delayed(model)(*job) for job in jobs))
    print(f"\nMetrics of a model: {TEST_SETS} test sets for each of the ROC AUCs {ROC_AUC}\n")
    for patients, rows in by_metric.groupby("patients"):
        print(f"{patients} patients\n{_summary(rows, ['metric'])}\n")


def _summary(table: pd.DataFrame, by: list[str]) -> str:
    columns = {}
    for method in ("ours", "percentile"):
        for what in ("min", "median", "max"):
            columns[f"{method} {what}"] = (100 * table.groupby(by, sort=False)[f"{method} holds"].agg(what)).round(1)
        columns[f"{method} width"] = table.groupby(by, sort=False)[f"{method} width"].mean().round(3)
        columns[f"{method} none"] = (100 * table.groupby(by, sort=False)[f"{method} undefined"].mean()).round(1)
    return pd.DataFrame(columns).to_string()


PARTS = {"shares": print_shares, "models": print_models, "thresholds": print_thresholds}

if __name__ == "__main__":
    main(sys.argv[1:])
