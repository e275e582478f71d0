"""How often 95 % intervals hold the truth: 1,000 simulated test sets of 430 patients with one to six images each.

    python -m benchmarks.coverage

The truth is that of 400,000 patients of the same kind. Of each metric of one model, and of the paired difference to a
second one on the same images. 93 to 97 % is right; over images instead of patients the intervals are too narrow.
"""

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from pneumo.evaluation import bootstrap, metrics
from pneumo.evaluation.drawn import Drawn

THRESHOLD = 0.5
DATASETS, PATIENTS, RESAMPLES = 1000, 430, 2000
NAMES = ("accuracy", "recall", "specificity", "precision", "f1", "roc_auc", "average_precision")


def simulate(rng: np.random.Generator, patients: int, spread: float = 1.0) -> pd.DataFrame:
    """Patients of one to six images, whose logits share what is particular to the patient."""
    count = rng.choice([1, 1, 1, 1, 2, 2, 3, 6], size=patients)
    of = np.repeat(np.arange(patients), count)
    label = (rng.random(patients) < 0.6).astype(int)[of]
    logit = 2.4 * label - 1.2 + rng.normal(0, spread, patients)[of] + rng.normal(0, 0.7, len(of))
    rows = {"image": [f"{i:05}" for i in range(len(of))], "patient": of.astype(str), "label": label}
    subtype = np.where(label == 0, "normal", np.where(of % 2, "bacterial", "viral"))
    return pd.DataFrame(rows | {"subtype": subtype, "score": 1 / (1 + np.exp(-logit)), "logit": logit})


def second_model(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A slightly worse model on the same images."""
    logit = 0.9 * table["logit"] + np.random.default_rng(1_000_000 + seed).normal(0, 0.8, len(table))
    return table.assign(logit=logit, score=1 / (1 + np.exp(-logit)))


def drawn(table: pd.DataFrame, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """NAMES under each row of `weights` [b, n] -> [b] each."""
    images = Drawn.of(table, THRESHOLD, weights=weights)
    return {name: metrics.BY_KEY[name].of(images) for name in NAMES}


def holds(seed: int, patient: str, truth: dict[str, float], difference: dict[str, float]) -> NDArray[np.bool_]:
    """Whether each interval of one simulated test set holds the truth: NAMES, then their differences."""
    one = simulate(np.random.default_rng(seed), PATIENTS)
    (weights,) = bootstrap.patient_weights(one[patient], resamples=RESAMPLES, seed=seed)
    found, other = drawn(one, weights), drawn(second_model(one, seed), weights)
    expected = [*truth.values(), *difference.values()]
    values = [*found.values(), *(found[name] - other[name] for name in NAMES)]
    intervals = [bootstrap.percentiles(value) for value in values]
    return np.array([low <= value <= high for (low, high), value in zip(intervals, expected, strict=True)])


def main() -> None:
    large = simulate(np.random.default_rng(99), 400_000)
    ones = np.ones((1, len(large)))
    truth = {name: float(value[0]) for name, value in drawn(large, ones).items()}
    worse = {name: float(value[0]) for name, value in drawn(second_model(large, -1), ones).items()}
    difference = {name: truth[name] - worse[name] for name in NAMES}
    shares = {
        unit: np.mean(
            Parallel(n_jobs=-1)(delayed(holds)(seed, unit, truth, difference) for seed in range(DATASETS)), axis=0
        )
        for unit in ("patient", "image")
    }
    print(f"{'share of intervals that hold the truth':<40} over patients   over images")
    names = [*NAMES, *(f"difference of {name}" for name in NAMES)]
    for name, by_patient, by_image in zip(names, shares["patient"], shares["image"], strict=True):
        print(f"{name:<40} {by_patient:13.1%} {by_image:13.1%}")


if __name__ == "__main__":
    main()
