"""How often `pneumo review` calls a difference real, between models that are equal and models that are not.

    python -m benchmarks.review            # all
    python -m benchmarks.review tests      # or verdicts

tests: the share of 1,000 pairs with p < 0.05, on 60 to 624 images and at a ROC AUC of 0.85 to 0.99, beside the tests
that were used before: DeLong's, and McNemar's in its exact form. Nominal is 5 %. "equal": either model could have given
the scores of the other. "equal ROC AUC": of the head model's scores, pneumonias spread 1.5 times as far as normals.

verdicts: 500 pairs of 430 and of 62 patients. Every "better" of equal models is false, and at most 2.5 % may be (alpha
0.05, two-sided). For comparison the same over images, as if images of one patient were independent.
"""

import sys
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import special  # not its functions: joblib cannot send them to other processes

from pneumo.params import Review
from pneumo.review import paired
from pneumo.review.candidate import Candidate, Network, measured
from pneumo.review.comparison import compare, judge
from pneumo.review.rows import TESTED

PAIRS, RESAMPLES = 500, 500
RULES = Review(metric="roc_auc", margin=0.0, alpha=0.05)
NOISE = {"equal": (0.9, 0.9), "better": (1.05, 0.75)}  # of base and head, in logits
OUTCOMES = ("better", "worse", "within noise")
TESTED_PAIRS, PERMUTATIONS = 1000, 1000
IMAGES, ROC_AUC = (60, 100, 300, 624), (0.85, 0.95, 0.99)
SPREAD = {"equal": (1.0, 1.0), "equal ROC AUC": (1.2, 0.8), "better": (1.0, 1.0)}  # of the head's two classes
GAIN = {"equal": 0.0, "equal ROC AUC": 0.0, "better": 0.45}  # of the head, in standard deviations


def pair(seed: int, noise: tuple[float, float], patients: int = 430) -> tuple[Candidate, Candidate]:
    """Two models on the same patients of one to three images. What is hard about a patient is hard for both; what is
    particular to a model is shared by the images of a patient, too.
    """
    rng = np.random.default_rng(seed)
    count = rng.choice([1, 1, 1, 1, 2, 2, 3], size=patients)
    of = np.repeat(np.arange(patients), count)
    label = (rng.random(patients) < 0.6).astype(int)[of]
    shared = 3.6 * label - 1.8 + rng.normal(0, 0.8, patients)[of] + rng.normal(0, 0.5, len(of))
    rows = pd.DataFrame(
        {
            "image": [f"{i:05}" for i in range(len(of))],
            "patient": of.astype(str),
            "label": label,
            "subtype": np.where(label == 1, "bacterial", "normal"),
        }
    )
    models = []
    for name, spread in zip(("base", "head"), noise, strict=True):
        logit = shared + rng.normal(0, spread, patients)[of] + rng.normal(0, spread / 2, len(of))
        test = rows.assign(score=1 / (1 + np.exp(-logit)))
        metrics = {key: value for key, value in measured(test, 0.5).items() if value is not None}
        models.append(Candidate.of(name, [Network(name, metrics, 0.5, test.iloc[:0], test)]))
    return models[0], models[1]


def verdicts(base: Candidate, head: Candidate, resamples: int, seed: int) -> dict[str, str]:
    """metric -> what the review would say if that metric decided."""
    found = compare(base, head, RULES, resamples=resamples, seed=seed, other_contents=False)
    return {row.metric: judge(row, RULES) for row in found.rows if row.metric in TESTED}


def over_images(model: Candidate) -> Candidate:
    """As if every image were a patient of its own."""
    (network,) = model.networks
    test_scores = network.test_scores.assign(patient=network.test_scores["image"])
    return Candidate.of(model.name, [replace(network, test_scores=test_scores)])


def rates(kind: str, patients: int, *, pairs: int, resamples: int, images: bool = False) -> pd.DataFrame:
    """Share of `pairs` with each verdict: index metric, columns OUTCOMES."""

    def one(seed: int) -> dict[str, str]:
        base, head = pair(seed, NOISE[kind], patients)
        if images:
            base, head = over_images(base), over_images(head)
        return verdicts(base, head, resamples, seed)

    found = pd.DataFrame(Parallel(n_jobs=-1)(delayed(one)(seed) for seed in range(pairs)))
    return pd.DataFrame({said: (found == said).mean() for said in OUTCOMES})


def p_values(kind: str, images: int, roc_auc: float, seed: int) -> dict[str, float | None]:
    """Of the tests of one pair of models: today's, and in brackets those of before. The threshold is between the
    classes of the base model, in equal distance.
    """
    rng = np.random.default_rng([seed, images, int(1000 * roc_auc), list(SPREAD).index(kind)])
    count = rng.choice([1, 1, 1, 1, 2, 2, 3], size=images)  # 1.6 on average
    patients = int(np.searchsorted(count.cumsum(), images)) + 1
    of = np.repeat(np.arange(patients), count[:patients])[:images]
    labels = (np.arange(patients) < round(0.6 * patients)).astype(int)[of]

    def spread() -> np.ndarray:
        return np.sqrt(0.6) * rng.normal(size=patients)[of] + np.sqrt(0.4) * rng.normal(size=images)

    shared, scores = spread(), []
    for (pneumonia, normal), gain in ((SPREAD["equal"], 0.0), (SPREAD[kind], GAIN[kind])):
        distance = (special.ndtri(roc_auc) + gain) * np.hypot(pneumonia, normal)
        errors = np.sqrt(0.6) * shared + np.sqrt(0.4) * spread()
        scores.append(np.where(labels == 1, distance + pneumonia * errors, normal * errors))
    base, head = scores
    found: dict[str, float | None] = {
        "ROC AUC": paired.roc_auc(labels, base, head, of, permutations=PERMUTATIONS, seed=seed).p,
        "(DeLong)": paired.delong(labels == 1, base, head, of),
    }
    if kind != "equal ROC AUC":  # whose recall and specificity differ
        threshold = special.ndtri(roc_auc) / np.sqrt(2)
        base_right, head_right = ((values > threshold) == (labels == 1) for values in (base, head))
        for name, of_class in (("accuracy", labels >= 0), ("recall", labels == 1), ("specificity", labels == 0)):
            test = paired.mcnemar(base_right[of_class], head_right[of_class], of[of_class])
            found |= {name: test.p, f"({name}, exact)": test.exact}
    return found


def rejected(kind: str, images: int, roc_auc: float) -> dict[Hashable, Any]:
    found = pd.DataFrame([p_values(kind, images, roc_auc, seed) for seed in range(TESTED_PAIRS)])
    cell: dict[Hashable, Any] = {"head is": kind, "images": images, "base ROC AUC": roc_auc}
    return cell | (found < RULES.alpha).mean().to_dict()


def print_tests() -> None:
    cells = [(kind, images, roc_auc) for kind in SPREAD for images in IMAGES for roc_auc in ROC_AUC]
    table = pd.DataFrame(Parallel(n_jobs=-1, batch_size=1)(delayed(rejected)(*cell) for cell in cells))
    print(f"Share of {TESTED_PAIRS:,} pairs with p < {RULES.alpha}, {PERMUTATIONS:,} permutations")
    print(table.to_string(index=False, float_format="{:.3f}".format, na_rep=""), flush=True)


def print_verdicts() -> None:
    print(f"\n{PAIRS} pairs each, {RESAMPLES:,} resamples")
    for patients in (430, 62):
        for kind, images in (("equal", False), ("equal", True), ("better", False)):
            table = rates(kind, patients, pairs=PAIRS, resamples=RESAMPLES, images=images)
            unit = "over images" if images else "over patients"
            print(f"\n{patients} patients, head is {kind}, {unit}\n{table.map('{:.1%}'.format)}", flush=True)


def main() -> None:
    wanted = sys.argv[1:] or ["tests", "verdicts"]
    if "tests" in wanted:
        print_tests()
    if "verdicts" in wanted:
        print_verdicts()


if __name__ == "__main__":
    main()
