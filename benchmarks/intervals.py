"""Processor time for the intervals of the official line-up: 5 backbones, 624 images of 428 patients, one core.

    python benchmarks/intervals.py

With the threshold taken for given, and with one from each of 2,000 draws of 816 validation images of 562 patients, on
their plain scores and on those under all perturbations.

Beside it what a user would write: scikit-learn's metrics in a loop over 2,000 resamples of patients, here of accuracy,
recall, specificity, precision, F1 and ROC AUC alone, timed on 50 resamples of one backbone and scaled up.
"""

import time

import numpy as np
import pandas as pd
from sklearn import metrics as sk
from threadpoolctl import threadpool_limits

from pneumo.evaluation import decision, metrics
from pneumo.models.perturbations import NAMES
from pneumo.params import Threshold
from pneumo.scoring import stress

BACKBONES, RESAMPLES, MEASURED = 5, 2000, 50


def scores(seed: int) -> pd.DataFrame:
    """624 images of 428 patients, 390 of them with pneumonia, as in the official test set."""
    rng = np.random.default_rng(seed)
    label = (np.arange(624) >= 234).astype(int)
    patient = np.r_[np.sort(rng.integers(0, 160, 234)), 160 + np.sort(rng.integers(0, 268, 390))]
    logit = rng.normal(3.0 * label - 1, 1.5)
    rows = {"image": [f"{i:03}" for i in range(624)], "patient": patient.astype(str), "label": label, "logit": logit}
    subtype = np.where(label == 0, "normal", np.where(np.arange(624) < 476, "bacterial", "viral"))
    return pd.DataFrame(rows | {"subtype": subtype, "score": 1 / (1 + np.exp(-logit))})


def validation() -> tuple[pd.DataFrame, pd.DataFrame]:
    """816 images of 562 patients, and their logits under stress."""
    table = pd.concat([scores(8), scores(9)], ignore_index=True).head(816)
    rows = table.assign(image=[f"{i:03}" for i in range(816)], patient=(np.arange(816) % 562).astype(str))
    noise = np.random.default_rng(7).normal(0, 0.5, (816, len(NAMES)))
    return rows, stress.table(rows, rows["logit"].to_numpy()[:, None] + noise)


def redrawn(tables: list[pd.DataFrame], kind: str) -> None:
    policy = Threshold.model_validate({"scores": kind, "policy": "youden", "value": None, "error_rates": [0.05]})
    for table in tables:
        thresholds = decision.threshold_draws(*validation(), 1.0, policy, resamples=RESAMPLES, seed=0)
        metrics.intervals(table, 0.5, temperature=1.0, prevalence=0.1, thresholds=thresholds)


def in_a_loop(table: pd.DataFrame, resamples: int) -> None:
    rng = np.random.default_rng(0)
    rows = [group.index.to_numpy() for _, group in table.groupby("patient")]
    y, s = table["label"].to_numpy(), table["score"].to_numpy()
    for _ in range(resamples):
        drawn = np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))])
        labels, called = y[drawn], s[drawn] >= 0.5
        sk.accuracy_score(labels, called)
        sk.recall_score(labels, called)
        sk.recall_score(labels, called, pos_label=0)
        sk.precision_score(labels, called)
        sk.f1_score(labels, called)
        sk.roc_auc_score(labels, s[drawn])


@threadpool_limits.wrap(limits=1)
def main() -> None:
    tables = [scores(seed) for seed in range(BACKBONES)]
    started = time.process_time()
    for table in tables:
        metrics.intervals(table, 0.5, temperature=1.0, prevalence=0.1)
    ours = time.process_time() - started
    started = time.process_time()
    in_a_loop(tables[0], MEASURED)
    loop = (time.process_time() - started) * BACKBONES * RESAMPLES / MEASURED
    print(f"{BACKBONES} backbones x 14 metrics   {ours:7.1f} s")
    for kind in ("plain", "stress"):
        began = time.process_time()
        redrawn(tables, kind)
        print(f"with thresholds redrawn on {kind} scores   {time.process_time() - began:7.1f} s")
    print(f"scikit-learn in a loop, 6 of these metrics   {loop:7.1f} s (scaled up), {loop / ours:.0f} times as long")


if __name__ == "__main__":
    main()
