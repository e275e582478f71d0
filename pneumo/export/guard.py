"""What training images look like, fitted on them alone; how far away is too far, from validation images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pneumo.serving.guard import Guard, from_bytes, thumbnails

COMPONENTS = 32  # of 16 to 128 the one that flagged most of what is no film, at 1 % of validation (docs/predict.md)
FLAGGED = 0.01  # of validation images


@dataclass(frozen=True)
class Fitted:
    """limit: what lies further away is unlike the training images."""

    guard: Guard
    limit: float


def fit(train: NDArray[np.uint8], val: NDArray[np.uint8]) -> Fitted:
    """Packed pixels, uint8 [n, S, S], of training and of validation -> the guard and its limit."""
    from sklearn.decomposition import PCA

    values = thumbnails(train)
    pca = PCA(min(COMPONENTS, len(values) - 2, values.shape[1] - 1), svd_solver="full").fit(values)
    found = Guard(pca.mean_, pca.components_, pca.explained_variance_, float(pca.noise_variance_))
    guard = from_bytes(found.to_bytes(), "guard")  # with the digits that its file has
    limit = np.quantile(guard.distances(val), 1 - FLAGGED, method="higher")
    return Fitted(guard, float(f"{limit * (1 + 1e-5):.6g}"))  # rounded up: the image that sets it is within
