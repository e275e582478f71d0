"""Labels that look wrong: a classifier that never saw the patient is sure that the image is of the other class.

For a person to look at; nothing is removed. The classifier is small and linear, so some of the images that it lists
are unusual and rightly labelled.
"""

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from numpy.typing import NDArray
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from pneumo.audit import folds
from pneumo.evaluation.suspected import COLUMNS
from pneumo.scoring import scores

# Of the given label. With 1 % of the real labels swapped (57), 53 of these were listed, among them the first 20 of the
# list, and 54 of the 5,799 others; with none swapped, 41.
MAX_PROBABILITY = 0.15
SIDE = 64  # pixels, of the squares that are compared
CELLS, DIRECTIONS = 8, 8  # gradients are pooled over 8 x 8 cells and 8 directions
SOFTNESS = 0.01  # keeps a cell without structure from being amplified
GREY = 0.2  # weight of a grey value against a gradient
COMPONENTS = 150
REGULARISATION = 0.1  # inverse strength
BLOCK = 256  # images held at once


def suspected(manifest: pd.DataFrame, pixels: NDArray[np.uint8]) -> pd.DataFrame:
    """Images whose label is in doubt, COLUMNS, the most doubtful first. probability: of the given label, out of sample,
    to six digits.

    pixels: uint8 [N, S, S], row i of `manifest`. Empty if there are too few patients to cross-validate.
    """
    labels = manifest["label"].to_numpy()
    if not (cv := folds.by_patient(labels, manifest["patient"])):
        return pd.DataFrame(columns=list(COLUMNS))
    components = min(COMPONENTS, *(len(fitted) for fitted, _ in cv))
    probabilities = cross_val_predict(_classifier(components), describe(pixels), labels, cv=cv, method="predict_proba")
    given = probabilities[np.arange(len(labels)), labels]
    ranked = find_label_issues(labels, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    doubtful = [row for row in ranked.tolist() if given[row] < MAX_PROBABILITY]
    table = manifest.assign(probability=scores.six_digits(given)).iloc[doubtful]
    return table.sort_values(["probability", "image"], ignore_index=True).loc[:, list(COLUMNS)]


def describe(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey values at half size and gradient directions by cell, independent of exposure: [n, 1024 + 512]."""
    return np.concatenate([_describe(pixels[at : at + BLOCK]) for at in range(0, len(pixels), BLOCK)])


def _describe(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    resized = [Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.LANCZOS) for image in pixels]
    x = np.array([np.asarray(image) for image in resized], dtype=np.float32)
    x = (x - x.mean(axis=(1, 2), keepdims=True)) / np.maximum(x.std(axis=(1, 2), keepdims=True), 1)
    grey = x.reshape(-1, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4))
    return np.concatenate([GREY * grey.reshape(len(x), -1), _gradients(x).reshape(len(x), -1)], axis=1)


def _gradients(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Histograms of oriented gradients (Dalal & Triggs 2005), normalised by cell: [n, CELLS, CELLS, DIRECTIONS]."""
    down, right = np.gradient(x, axis=(1, 2))
    strength = np.hypot(down, right)
    angle = np.arctan2(down, right) % np.pi / np.pi * DIRECTIONS
    cells = np.empty((len(x), CELLS, CELLS, DIRECTIONS), np.float32)
    for direction in range(DIRECTIONS):
        distance = np.abs(angle - direction)
        share = np.maximum(0, 1 - np.minimum(distance, DIRECTIONS - distance)) * strength
        cells[..., direction] = share.reshape(-1, CELLS, SIDE // CELLS, CELLS, SIDE // CELLS).mean(axis=(2, 4))
    return cells / np.sqrt(np.square(cells).sum(axis=-1, keepdims=True) + SOFTNESS)


def _classifier(components: int) -> Pipeline:
    return make_pipeline(
        StandardScaler(),
        PCA(components, svd_solver="randomized", random_state=0),
        StandardScaler(),
        LogisticRegression(C=REGULARISATION, max_iter=500),
    )
