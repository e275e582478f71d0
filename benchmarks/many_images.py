"""How long figures of 100,000 test images take: python -m benchmarks.many_images [RESAMPLES]

Prints seconds for the metrics of one model, as `pneumo verify` recomputes them, and for the comparison of two, as
`pneumo review` makes it, with 2,000 resamples unless said.
"""

import sys
import time

import numpy as np
import pandas as pd

from pneumo.evaluation import decision
from pneumo.evaluation.evaluate import measure
from pneumo.params import Review, Threshold
from pneumo.review.candidate import METRICS, Candidate, Network, measured
from pneumo.review.comparison import compare
from pneumo.scoring import scores

IMAGES, VALIDATION = 100_000, 800


def table(seed: int) -> pd.DataFrame:
    """scores.COLUMNS of IMAGES made-up images, two of each patient."""
    label = np.arange(IMAGES) // 2 % 2
    logit = scores.six_digits(3.0 * label - 1.5 + np.random.default_rng(seed).normal(0, 1, IMAGES))
    rows = {
        "image": [f"test/{place:06}.jpeg" for place in range(IMAGES)],
        "patient": [f"test-{place // 2}" for place in range(IMAGES)],
        "label": label,
        "subtype": np.where(label == 1, "bacterial", "normal"),
        "score": scores.six_digits(1 / (1 + np.exp(-logit))),
        "logit": logit,
    }
    return pd.DataFrame(rows)


def candidate(seed: int) -> Candidate:
    test = table(seed)
    figures = {key: value for key, value in measured(test, 0.5).items() if value is not None}
    assert set(figures) == set(METRICS)
    return Candidate.of("made up", [Network("made up", figures, 0.5, test.head(0), test)])


def main(resamples: int) -> None:
    began = time.perf_counter()
    rules = Review(metric="roc_auc", margin=0.0, alpha=0.05)
    compare(candidate(0), candidate(1), rules, resamples=resamples, seed=0, other_contents=False)
    print(f"review, two models: {time.perf_counter() - began:.0f} s with {resamples} resamples", flush=True)
    began, test = time.perf_counter(), table(0)
    validation, policy = (
        test.head(VALIDATION),
        Threshold(scores="plain", policy="youden", value=None, error_rates=[0.05]),
    )
    thresholds = decision.threshold_draws(validation, None, 1.0, policy, resamples=resamples, seed=0)
    measure(
        test,
        0.5,
        thresholds=thresholds,
        validation=validation,
        stress_logits=None,
        temperature=1.0,
        prevalence=0.1,
    )
    print(f"verify, one model: {time.perf_counter() - began:.0f} s with {resamples} resamples")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
