"""How often `pneumo review` calls a difference real: 500 pairs of models that are equal, and 500 that are not.

    python -m benchmarks.review

Equal models err alike but not on the same images, so every "better" is false: at most 2.5 % may be (alpha 0.05,
two-sided). For comparison the same tests over images, as if images of one patient were independent.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from pneumo.params import Review
from pneumo.review.candidate import Candidate, measured
from pneumo.review.comparison import TESTS, compare, judge

PAIRS, RESAMPLES = 500, 2000
RULES = Review(metric="roc_auc", margin=0.0, alpha=0.05)
NOISE = {"equal": (0.9, 0.9), "better": (1.05, 0.75)}  # of base and head, in logits
OUTCOMES = ("better", "worse", "within noise")


def pair(seed: int, noise: tuple[float, float], patients: int = 430) -> tuple[Candidate, Candidate]:
    """Two models on the same patients of one to six images. What is hard about a patient is hard for both; what is
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
        models.append(Candidate(name, metrics, 0.5, test.iloc[:0], test))
    return models[0], models[1]


def verdicts(base: Candidate, head: Candidate, resamples: int, seed: int) -> dict[str, str]:
    """metric -> what the review would say if that metric decided."""
    found = compare(base, head, RULES, resamples=resamples, seed=seed, other_contents=False)
    return {row.metric: judge(row, RULES) for row in found.rows if row.metric in TESTS}


def over_images(model: Candidate) -> Candidate:
    """As if every image were a patient of its own."""
    return replace(model, test_scores=model.test_scores.assign(patient=model.test_scores["image"]))


def rates(kind: str, patients: int, *, pairs: int, resamples: int, images: bool = False) -> pd.DataFrame:
    """Share of `pairs` with each verdict: index metric, columns OUTCOMES."""

    def one(seed: int) -> dict[str, str]:
        models = pair(seed, NOISE[kind], patients)
        return verdicts(*(map(over_images, models) if images else models), resamples, seed)

    found = pd.DataFrame(Parallel(n_jobs=-1)(delayed(one)(seed) for seed in range(pairs)))
    return pd.DataFrame({said: (found == said).mean() for said in OUTCOMES})


def main() -> None:
    print(f"{PAIRS} pairs each, {RESAMPLES:,} resamples")
    for patients in (430, 62):
        for kind, images in (("equal", False), ("equal", True), ("better", False)):
            table = rates(kind, patients, pairs=PAIRS, resamples=RESAMPLES, images=images)
            unit = "over images" if images else "over patients"
            print(f"\n{patients} patients, head is {kind}, {unit}\n{table.map('{:.1%}'.format)}", flush=True)


if __name__ == "__main__":
    main()
