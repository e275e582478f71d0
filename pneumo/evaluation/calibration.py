"""Temperature scaling, and how far calibrated scores are from observed frequencies."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtri

Array = NDArray[np.float64]
TEMPERATURES = (0.05, 20.0)  # bounds: for logits that separate the classes perfectly the best temperature is 0
BINS = 10  # of equal width
STEPS = 100  # at most, of Newton's method; it usually takes five
TOLERANCE = 1e-9  # of the last step, relative to the solution


def temperature(labels: ArrayLike, logits: ArrayLike) -> float:
    """The temperature that minimises the cross-entropy of sigmoid(logit / temperature): Guo et al. 2017.

    One of the bounds TEMPERATURES where the minimum does not lie between them, as for logits that separate the classes.
    """
    y, z = np.asarray(labels, dtype=float), np.asarray(logits, dtype=float)

    def cross_entropy(log_temperature: float) -> float:
        scaled = z / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0, scaled) - y * scaled))

    from scipy.optimize import minimize_scalar  # the import takes a second, and few callers fit

    bounds = np.log(TEMPERATURES)
    fitted = minimize_scalar(cross_entropy, bounds=bounds, method="bounded", options={"xatol": 1e-9}).x
    return float(np.exp(min((fitted, *bounds), key=cross_entropy)))


def calibrate(logits: ArrayLike, temperature: float) -> Array:
    """Probability of pneumonia in [0, 1] for each logit."""
    return expit(np.asarray(logits, dtype=float) / temperature)


def bin_of(scores: ArrayLike, bins: int = BINS) -> NDArray[np.int_]:
    """The bin of each score, 0 to bins - 1: [0, 0.1), [0.1, 0.2) ... [0.9, 1] for ten."""
    return np.clip((np.asarray(scores, dtype=float) * bins).astype(int), 0, bins - 1)


def expected_errors(y: Array, s: Array, weights: Array, bins: int = BINS) -> Array:
    """Expected calibration error under each row of image weights, [b, n] -> [b]: the distance between mean score and
    share of pneumonia in bins of equal width, averaged over images. y: labels, s: scores, [n] each.

    As torchmetrics' BinaryCalibrationError with norm "l1", except that a score of exactly 1 belongs to the last bin and
    not to an eleventh one. On finitely many images even well calibrated scores have an error above 0.
    """
    in_bin = bin_of(s, bins)
    errors = np.stack([np.bincount(in_bin, row * (s - y), minlength=bins) for row in weights])
    return np.abs(errors).sum(axis=1) / weights.sum(axis=1)


def slopes(y: Array, z: Array, weights: Array) -> Array:
    """Slope of the logistic regression of labels on logits (Cox 1958) under each row of image weights, [b, n] -> [b]:
    ideally 1; below 1 the scores are overconfident. y: labels, z: logits, [n] each.

    NaN for one class alone, and for logits that separate the two. By Newton's method on all rows at once.
    """
    order = np.argsort(z, kind="stable")
    y, z, weights = y[order], z[order], weights[:, order]
    scale = max(float(z.std()), 1e-12)
    x = (z - z.mean()) / scale
    design = np.stack([np.ones_like(x), x, x * x], axis=1)
    fitted = np.zeros((len(weights), 2))
    active = np.flatnonzero(_overlapping(y, z, weights))
    fitted[np.setdiff1d(np.arange(len(weights)), active)] = np.nan
    for _ in range(STEPS):
        rows = weights[active]
        p = expit(fitted[active] @ design[:, :2].T)
        gradient = (rows * (y - p)) @ design[:, :2]
        p *= 1 - p
        p *= rows
        curvature = p @ design
        inverse = np.stack([curvature[:, 2], -curvature[:, 1], -curvature[:, 1], curvature[:, 0]], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse /= (curvature[:, 0] * curvature[:, 2] - curvature[:, 1] ** 2)[:, None]
            step = np.einsum("bij,bj->bi", inverse.reshape(-1, 2, 2), gradient)
        fitted[active] += np.clip(step, -1, 1)
        active = active[(np.abs(step) > TOLERANCE * (1 + np.abs(fitted[active]))).any(axis=1)]
        if not len(active):
            break
    fitted[active] = np.nan
    return fitted[:, 1] / scale


def intercepts(y: Array, z: Array, weights: Array) -> Array:
    """Calibration in the large (Van Calster et al. 2019) under each row of image weights, [b, n] -> [b]: the shift of
    all logits, at slope 1, that makes the mean score the share of pneumonia. Below 0 the scores are too high.

    y: labels, z: logits, [n] each. NaN for one class alone. By Newton's method, safeguarded by bisection.
    """
    cases, total = weights @ y, weights.sum(axis=1)
    low, high = np.full(len(weights), -z.max() - 40.0), np.full(len(weights), -z.min() + 40.0)
    fitted = np.zeros(len(weights))
    active = np.flatnonzero((cases > 0) & (cases < total))
    fitted[np.setdiff1d(np.arange(len(weights)), active)] = np.nan
    for _ in range(STEPS):
        rows, at = weights[active], fitted[active]
        p = expit(at[:, None] + z)
        missing = cases[active] - np.einsum("bn,bn->b", rows, p)
        low[active], high[active] = np.where(missing > 0, at, low[active]), np.where(missing < 0, at, high[active])
        p *= 1 - p
        with np.errstate(divide="ignore", invalid="ignore"):
            new = at + missing / np.einsum("bn,bn->b", rows, p)
        inside = (new >= low[active]) & (new <= high[active])
        fitted[active] = np.where(inside, new, (low[active] + high[active]) / 2)
        active = active[np.abs(fitted[active] - at) > TOLERANCE * (1 + np.abs(at))]
        if not len(active):
            break
    return fitted


def reliability(
    labels: ArrayLike, scores: ArrayLike, bins: int = BINS, *, patients: ArrayLike | None = None
) -> pd.DataFrame:
    """The reliability diagram, one row for each bin that has images: `bin`, `mean_score`, `observed` (share of
    pneumonia), `low` and `high` (its 95 % Wilson interval), and `n` (images).

    The interval takes as many independent draws as the bin has `patients`, for images of one patient are not
    independent; without `patients`, as it has images.
    """
    table = pd.DataFrame({"bin": bin_of(scores, bins), "score": np.asarray(scores), "label": np.asarray(labels)})
    table["patient"] = np.arange(len(table)) if patients is None else np.asarray(patients)
    rows = []
    for number, in_bin in table.groupby("bin"):
        observed = float(in_bin["label"].mean())
        low, high = wilson(observed, int(in_bin["patient"].nunique()))
        rows.append((number, in_bin["score"].mean(), observed, len(in_bin), low, high))
    return pd.DataFrame(rows, columns=["bin", "mean_score", "observed", "n", "low", "high"])


def wilson(proportion: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion in n independent draws (Wilson 1927); n need not be whole.

    scipy.stats and statsmodels take counts. Here the proportion is of images, and n the number of patients.
    """
    z = -ndtri((1 - level) / 2) / np.sqrt(n)
    middle = proportion + z * z / 2
    half = z * np.sqrt(proportion * (1 - proportion) + z * z / 4)
    return float((middle - half) / (1 + z * z)), float((middle + half) / (1 + z * z))


def _overlapping(y: Array, z: Array, weights: Array) -> NDArray[np.bool_]:
    """Whether each row has a finite slope, [b]: the logits of the two classes overlap. z is sorted."""
    bounds = []
    for of_class in (y == 0, y == 1):
        drawn, values = weights[:, of_class] > 0, z[of_class]
        if not len(values):
            return np.zeros(len(weights), dtype=bool)
        first, last = drawn.argmax(axis=1), len(values) - 1 - drawn[:, ::-1].argmax(axis=1)
        bounds.append((values[first], values[last], drawn.any(axis=1)))
    (low0, high0, any0), (low1, high1, any1) = bounds
    return any0 & any1 & (high0 > low1) & (high1 > low0)
