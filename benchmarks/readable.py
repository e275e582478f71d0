"""How much of the labels of a data set can be read without its lungs? On one hospital's films alone.

    python -m benchmarks.readable PROCESSED WEIGHTS.safetensors [--folds 5] [--half development]

PROCESSED: a folder that preprocess or preprocess_external left, such as data/external/nih_adults/processed. WEIGHTS: of
tf_efficientnet_lite0, with ImageNet. A logistic regression, trained and tested on these films by folds over patients,
is given a film's nine deciles of grey, or the features of a frozen network (four stages, means of 3 x 3 parts): of the
film, and of the film with its lungs, another patient's lungs, all but the lungs, or all but a border of an eighth of
each side covered. What it can tell without the lungs is no finding of a lung.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pneumo.data import packed
from pneumo.evaluation import decision, metrics
from pneumo.explain import ablation, lungs
from pneumo.models import backbones
from pneumo.scoring import scores
from pneumo.training import probe

SIZE, STAGES, POOL, C = 224, 4, 3, 0.01
HIDDEN: dict[str, Callable[[ablation.Places], lungs.Masks]] = {
    "the film": lambda places: np.zeros_like(places.own),
    "lungs covered": lambda places: places.own,
    "another patient's lungs covered": lambda places: places.another,
    "all but the lungs covered": lambda places: ~places.own,
    "all but the border covered": lambda places: ~places.border,
}


def out_of_fold(x: NDArray[np.floating], split: packed.Split, folds: int) -> NDArray[np.float64]:
    """The logit of each film by a model that has not seen its patient, [n]."""
    logits, labels = np.zeros(len(split)), split.labels.astype(int)
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(x, labels, split.rows["patient"])
    for train, test in parts:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=C, class_weight="balanced", max_iter=2_000))
        logits[test] = model.fit(x[train], labels[train]).decision_function(x[test])
    return logits


def line(name: str, split: packed.Split, logits: NDArray[np.float64]) -> str:
    table = decision.calibrated(scores.table(split.rows, logits), 1.0)
    low, high = metrics.intervals(table, 0.5, temperature=1.0, prevalence=0.5)["roc_auc"]
    value = roc_auc_score(table["label"], table["score"])
    return f"| {name:<31} | {value:.3f} [{low:.3f}, {high:.3f}] |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("processed", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--half", help="only rows with this in the column `half`")
    arguments = parser.parse_args()
    split = packed.read_split(arguments.processed, "test")
    if arguments.half:
        kept = (split.rows["half"] == arguments.half).to_numpy()
        split = replace(split, rows=split.rows[kept].reset_index(drop=True), where=split.where[kept])
    pixels = split.pixels(slice(None))
    places = ablation.places_of(lungs.find(pixels).masks, split.rows["patient"], seed=0)
    torch.set_num_threads(2)
    network, _ = backbones.create(
        "tf_efficientnet_lite0.in1k",
        input_size=SIZE, dropout=0.0, weights=str(arguments.weights), seed=0, stages=STAGES, pool=POOL,
    )  # fmt: skip
    features: dict[str, Callable[[], NDArray[np.floating]]] = {
        "deciles of grey": lambda: np.quantile(pixels.reshape(len(pixels), -1), np.arange(1, 10) / 10, axis=1).T
    }
    for name, hidden in HIDDEN.items():
        part = replace(split, images=ablation.cover(pixels, hidden(places)), where=np.arange(len(split)))
        features[name] = partial(probe.features, network, part, input_size=SIZE, device=torch.device("cpu"))
    print(f"{len(split)} films of {split.rows['patient'].nunique()} patients, {int(split.labels.sum())} pneumonia")
    print("| a logistic regression is given  | ROC AUC, out of fold |\n| --- | --- |")
    for name, values in features.items():
        print(line(name, split, out_of_fold(values(), split, arguments.folds)), flush=True)


if __name__ == "__main__":
    main()
