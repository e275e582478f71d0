"""Probabilities that mean what they say: temperature scaling, and how far scores are from observed frequencies."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtri

Array = NDArray[np.float64]
TEMPERATURES = (0.05, 20.0)  # bounds: scores that separate validation perfectly would ask for 0
BINS = 10  # of equal width
STEPS = 100  # of Newton's method; five are usual
SETTLED = 1e-9  # the last step, in units of the answer


def temperature(labels: ArrayLike, logits: ArrayLike) -> float:
    """The temperature that minimises the cross-entropy of sigmoid(logit / temperature): Guo et al. 2017.

    One of TEMPERATURES where the minimum is not between them, as for logits that separate the labels.
    """
    y, z = np.asarray(labels, dtype=float), np.asarray(logits, dtype=float)

    def cross_entropy(log_temperature: float) -> float:
        scaled = z / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0, scaled) - y * scaled))

    from scipy.optimize import minimize_scalar  # its import takes a second, and few callers fit anything

    bounds = np.log(TEMPERATURES)
    fitted = minimize_scalar(cross_entropy, bounds=bounds, method="bounded", options={"xatol": 1e-9}).x
    return float(np.exp(min((fitted, *bounds), key=cross_entropy)))


def calibrate(logits: ArrayLike, temperature: float) -> Array:
    """Probability of pneumonia in [0, 1] for each logit."""
    return expit(np.asarray(logits, dtype=float) / temperature)


def brier(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean squared distance of the probability from the label (Brier 1950)."""
    return float(np.mean((np.asarray(scores, dtype=float) - np.asarray(labels)) ** 2))


def bin_of(scores: ArrayLike, bins: int = BINS) -> NDArray[np.int_]:
    """The bin of each score, 0 to bins - 1: [0, 0.1), [0.1, 0.2) ... [0.9, 1] for ten."""
    return np.clip((np.asarray(scores, dtype=float) * bins).astype(int), 0, bins - 1)


def expected_error(labels: ArrayLike, scores: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error over bins of equal width: |mean score - share of pneumonia|, averaged over images.

    As torchmetrics' BinaryCalibrationError with norm "l1", but for a score of exactly 1: that is in the last bin here,
    and in one more bin of its own there. It is never 0 for a finite number of images, however good the scores.
    """
    y, s = np.asarray(labels, dtype=float), np.asarray(scores, dtype=float)
    return float(np.abs(np.bincount(bin_of(s, bins), s - y, minlength=bins)).sum() / len(y))


def slope(labels: ArrayLike, logits: ArrayLike) -> float:
    """Slope of the logistic regression of the labels on the logits (Cox 1958): 1 is right, less is overconfident.

    NaN where there is none: one class only, or logits that separate the two.
    """
    y, z = np.asarray(labels, dtype=float), np.asarray(logits, dtype=float)
    return float(slopes(y, z, np.ones((1, len(y))))[0])


def intercept(labels: ArrayLike, logits: ArrayLike) -> float:
    """Calibration in the large: the shift of all logits that makes their mean probability right, with the slope kept
    at 1 (Van Calster et al. 2019). Below 0 the scores are too high. NaN where there is one class only.
    """
    y, z = np.asarray(labels, dtype=float), np.asarray(logits, dtype=float)
    return float(intercepts(y, z, np.ones((1, len(y))))[0])


def slopes(y: Array, z: Array, weights: Array) -> Array:
    """`slope` under each row of image weights [B, n] -> [B]: Newton's method on all rows at once."""
    order = np.argsort(z, kind="stable")
    y, z, weights = y[order], z[order], weights[:, order]
    scale = max(float(z.std()), 1e-12)
    x = (z - z.mean()) / scale
    design = np.stack([np.ones_like(x), x, x * x], axis=1)
    fitted = np.zeros((len(weights), 2))
    open_ = np.flatnonzero(_overlapping(y, z, weights))
    fitted[np.setdiff1d(np.arange(len(weights)), open_)] = np.nan
    for _ in range(STEPS):
        drawn = weights[open_]
        p = expit(fitted[open_] @ design[:, :2].T)
        gradient = (drawn * (y - p)) @ design[:, :2]
        p *= 1 - p
        p *= drawn
        curvature = p @ design
        inverse = np.stack([curvature[:, 2], -curvature[:, 1], -curvature[:, 1], curvature[:, 0]], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse /= (curvature[:, 0] * curvature[:, 2] - curvature[:, 1] ** 2)[:, None]
            step = np.einsum("bij,bj->bi", inverse.reshape(-1, 2, 2), gradient)
        fitted[open_] += np.clip(step, -1, 1)
        open_ = open_[(np.abs(step) > SETTLED * (1 + np.abs(fitted[open_]))).any(axis=1)]
        if not len(open_):
            break
    fitted[open_] = np.nan
    return fitted[:, 1] / scale


def intercepts(y: Array, z: Array, weights: Array) -> Array:
    """`intercept` under each row of image weights [B, n] -> [B]: Newton's method, kept between two bounds."""
    cases, total = weights @ y, weights.sum(axis=1)
    low, high = np.full(len(weights), -z.max() - 40.0), np.full(len(weights), -z.min() + 40.0)
    fitted = np.zeros(len(weights))
    open_ = np.flatnonzero((cases > 0) & (cases < total))
    fitted[np.setdiff1d(np.arange(len(weights)), open_)] = np.nan
    for _ in range(STEPS):
        drawn, at = weights[open_], fitted[open_]
        p = expit(at[:, None] + z)
        missing = cases[open_] - np.einsum("bn,bn->b", drawn, p)
        low[open_], high[open_] = np.where(missing > 0, at, low[open_]), np.where(missing < 0, at, high[open_])
        p *= 1 - p
        with np.errstate(divide="ignore", invalid="ignore"):
            new = at + missing / np.einsum("bn,bn->b", drawn, p)
        inside = (new >= low[open_]) & (new <= high[open_])
        fitted[open_] = np.where(inside, new, (low[open_] + high[open_]) / 2)
        open_ = open_[np.abs(fitted[open_] - at) > SETTLED * (1 + np.abs(at))]
        if not len(open_):
            break
    return fitted


def reliability(
    labels: ArrayLike, scores: ArrayLike, bins: int = BINS, *, patients: ArrayLike | None = None
) -> pd.DataFrame:
    """The reliability diagram: for each bin that has images, `bin`, `mean_score`, `observed` (share of pneumonia) with
    its 95 % Wilson interval, `low` and `high`, and `n` (images).

    The interval is of the number of `patients` in the bin, as images of one patient say less than images of as many
    patients; without `patients`, of the number of images.
    """
    who = np.arange(len(np.asarray(labels))) if patients is None else np.asarray(patients)
    columns = {"bin": bin_of(scores, bins), "score": np.asarray(scores), "label": np.asarray(labels), "patient": who}
    rows = []
    for number, in_bin in pd.DataFrame(columns).groupby("bin"):
        observed = float(in_bin["label"].mean())
        low, high = wilson(observed, int(in_bin["patient"].nunique()))
        rows.append((number, in_bin["score"].mean(), observed, len(in_bin), low, high))
    return pd.DataFrame(rows, columns=["bin", "mean_score", "observed", "n", "low", "high"])


def wilson(proportion: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion of n independent draws (Wilson 1927); n need not be whole.

    scipy.stats and statsmodels have it for counts; here a proportion of images is taken for as many draws as patients.
    """
    z = -ndtri((1 - level) / 2) / np.sqrt(n)
    middle = proportion + z * z / 2
    half = z * np.sqrt(proportion * (1 - proportion) + z * z / 4)
    return float((middle - half) / (1 + z * z)), float((middle + half) / (1 + z * z))


def _overlapping(y: Array, z: Array, weights: Array) -> NDArray[np.bool_]:
    """Whether each row has a finite slope: the ranges of the two classes share more than a point. z is sorted."""
    bounds = []
    for of_class in (y == 0, y == 1):
        drawn, values = weights[:, of_class] > 0, z[of_class]
        if not len(values):
            return np.zeros(len(weights), dtype=bool)
        first, last = drawn.argmax(axis=1), len(values) - 1 - drawn[:, ::-1].argmax(axis=1)
        bounds.append((values[first], values[last], drawn.any(axis=1)))
    (low0, high0, any0), (low1, high1, any1) = bounds
    return any0 & any1 & (high0 > low1) & (high1 > low0)
