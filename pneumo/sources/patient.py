"""A patient drawn by lot: the body, and an illness that does not depend on it.

Lengths and places are in the body units of `anatomy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Finding = Literal["normal", "bacterial", "viral"]

HILUM = (0.11, 0.42)  # x without its sign, y


@dataclass(frozen=True)
class Patient:
    """What is the same in all images of a patient."""

    finding: Finding
    width: float  # half of the thorax
    fat: float
    heart: tuple[float, float, float, float]  # centre x, centre y, half width, half height
    mediastinum: float  # half width
    thymus: float  # how far it protrudes from the mediastinum; 0 for most
    ribs: tuple[float, float, float, float]  # first y, spacing, drop of the posterior part, rise of the anterior part
    bone: float
    vascularity: float
    breast: float
    gas: tuple[float, float, float]  # stomach bubble: x, depth below the dome, radius
    vessels: Array  # [n, 6]: x, y, x, y, width in body units, density in [0, 1]
    coarse: Array  # random lattices, standard normal
    fine: Array
    consolidations: Array  # [n, 4]: x, y, radius, density
    haze: float  # of a viral pneumonia

    @classmethod
    def sample(cls, body: np.random.Generator, illness: np.random.Generator, finding: Finding) -> Patient:
        """The illness has a generator of its own, so that the body does not depend on it."""
        width = body.uniform(0.36, 0.42)
        ratio = body.uniform(0.44, 0.56)
        return cls(
            finding=finding,
            width=width,
            fat=body.uniform(0.03, 0.075),
            heart=(body.uniform(0.045, 0.075), body.uniform(0.53, 0.57), width * ratio, body.uniform(0.15, 0.18)),
            mediastinum=body.uniform(0.06, 0.085),
            thymus=max(0.0, body.uniform(-0.12, 0.06)),
            ribs=(
                body.uniform(0.07, 0.12),
                body.uniform(0.06, 0.075),
                body.uniform(0.05, 0.12),
                body.uniform(0.16, 0.26),
            ),
            bone=body.uniform(0.7, 1.3),
            vascularity=body.uniform(0.5, 1.5),
            breast=max(0.0, body.uniform(-0.06, 0.06)),
            gas=(body.uniform(0.12, 0.2), body.uniform(0.06, 0.1), body.uniform(0.0, 0.07)),
            vessels=_vessels(body),
            coarse=body.standard_normal((28, 28)),
            fine=body.standard_normal((100, 100)),
            consolidations=_consolidations(illness, finding),
            haze=illness.uniform(0.45, 0.7),
        )


def _vessels(rng: np.random.Generator) -> Array:
    """Arteries that leave both hila and fork: rows of x, y, x, y, width, density."""
    rows: list[tuple[float, float, float, float, float, float]] = []

    def grow(side: int, x: float, y: float, dx: float, dy: float, width: float, steps: int) -> None:
        for step in range(steps):
            bend = rng.uniform(-0.3, 0.3)
            dx, dy = dx - bend * dy, dy + bend * dx
            norm = sqrt(dx * dx + dy * dy)
            dx, dy = dx / norm, dy / norm
            end_x, end_y = x + 0.042 * dx, y + 0.042 * dy
            rows.append((side * x, y, side * end_x, end_y, width, min(1.0, width / 0.016)))
            x, y, width = end_x, end_y, width * 0.84
            if steps > 2 and step and rng.random() < 0.6:
                turn = 0.7 if rng.integers(2) else -0.7
                grow(side, x, y, dx - turn * dy, dy + turn * dx, width * 0.75, steps - step - 1)

    for side in (-1, 1):
        for slope in np.linspace(-2.2, 2.4, 8).tolist():
            start = HILUM[1] + 0.02 * slope
            grow(side, HILUM[0] - 0.03, start, 1.0, slope + rng.uniform(-0.3, 0.3), 0.017, 6)
    return np.array(rows)


def _consolidations(rng: np.random.Generator, finding: Finding) -> Array:
    """Rows of x, y, radius, density: one or two lobar consolidations, or many small patches in both lungs."""
    if finding == "normal":
        return np.empty((0, 4))
    if finding == "bacterial":
        count, radius, density = int(rng.integers(1, 3)), (0.12, 0.18), (0.8, 1.0)
    else:
        count, radius, density = int(rng.integers(8, 13)), (0.04, 0.09), (0.35, 0.55)
    side = rng.permutation(np.resize((-1, 1), count + count % 2))[:count]
    y = rng.uniform(0.24, 0.6, count)
    near = np.where(side > 0, np.clip((y - 0.3) * 0.5, 0, 0.1), 0)
    x = side * rng.uniform(0.15 + near, 0.3)
    return np.stack([x, y, rng.uniform(*radius, count), rng.uniform(*density, count)], axis=1)
