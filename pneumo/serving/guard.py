"""Whether an image looks like those that a model was trained on.

Of each image a thumbnail of SIDE x SIDE means is taken, brought to mean 0 and standard deviation 1, so that exposure
does not count. Its distance is that from a probabilistic PCA of the training thumbnails (Tipping and Bishop 1999):
squares of what lies along the components and of what they leave, each over its variance. The lungs' own signs are too
small to count here: what is flagged is framed, turned, inverted or made unlike a training image.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pneumo.errors import BundleError

SIDE = 16
KEYS = ("mean", "components", "variances", "noise")
WARNING = "unlike the training images"


@dataclass(frozen=True)
class Guard:
    """mean: [F]; components: [k, F], orthonormal; variances: [k], along each; noise: the variance of all else."""

    mean: NDArray[np.float64]
    components: NDArray[np.float64]
    variances: NDArray[np.float64]
    noise: float

    def distances(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """uint8 [n, S, S] -> the distance of each from the training images, [n]."""
        away = thumbnails(pixels) - self.mean
        along = away @ self.components.T
        rest = np.clip((away**2).sum(axis=1) - (along**2).sum(axis=1), 0, None)
        distances: NDArray[np.float64] = (along**2 / self.variances).sum(axis=1) + rest / self.noise
        return distances

    def to_bytes(self) -> bytes:
        """A .npz file, the same bytes for the same numbers."""
        file = io.BytesIO()
        mean, components, variances, noise = (np.asarray(getattr(self, key), dtype=np.float32) for key in KEYS)
        np.savez(file, mean=mean, components=components, variances=variances, noise=noise)
        return file.getvalue()


def from_bytes(data: bytes, where: str) -> Guard:
    """What `to_bytes` wrote. Raises BundleError, which names `where`, for anything else; nothing pickled is read."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            mean, components, variances, noise = (np.asarray(file[key], dtype=float) for key in KEYS)
    except Exception as error:  # zipfile's, numpy's, KeyError: there is no common base
        raise BundleError(f"{where} cannot be read ({type(error).__name__}): get the model again") from None
    count = len(variances) if variances.ndim == 1 else -1
    right = mean.shape == (SIDE**2,) and components.shape == (count, SIDE**2) and noise.shape == ()
    if not right or not np.isfinite(np.r_[mean, components.ravel(), variances, noise]).all() or min(variances) <= 0:
        raise BundleError(f"{where} does not hold a valid guard: get the model again")
    return Guard(mean, components, variances, float(noise))


def thumbnails(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """uint8 [n, S, S], S at least SIDE -> [n, SIDE * SIDE], each with mean 0 and standard deviation 1."""
    size = pixels.shape[-1]
    starts = np.arange(SIDE) * size // SIDE
    widths = np.diff(np.append(starts, size))
    sums = np.add.reduceat(np.add.reduceat(pixels.astype(np.int64), starts, axis=1), starts, axis=2)
    means = (sums / np.outer(widths, widths)).reshape(len(pixels), -1)
    centred = means - means.mean(axis=1, keepdims=True)
    return centred / np.maximum(
        centred.std(axis=1, keepdims=True), 0.1
    )  # grey levels: of an image that is nearly blank
