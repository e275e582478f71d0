"""Where the lungs are on a frontal chest film: found by shape, without a network and without a download.

A bank of shapes that a lung can have is held against the film. A shape fits where the film is darker inside than in a
ring around it: mediastinum, chest wall, diaphragm. Of all pairs of a left and a right shape the best is taken, where a
pair counts less the less its two lungs are alike. A threshold would lose the lung that pneumonia has turned white; a
shape covers it, and gives away little of the disease by its outline. benchmarks/lungs.py measures how well this works.

Limits: a lung that is white throughout is placed by its neighbour alone; the lung behind heart and diaphragm is not
covered; and a film upside down or a lateral view is not noticed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from pneumo.data.packed import Pixels

Array = NDArray[np.float32]
Masks = NDArray[np.bool_]  # [n, S, S]

GRID = 32  # cells a side of the field on which shapes are compared
SHAPES, SEED = 6000, 0
# Of one lung: middle and scale of each measure, by eye from films of children and adults. A picture reaches from -1 to
# 1; `inner` and `outer` are distances from its middle line, `inner` at the apex and at the diaphragm.
MEASURES = {
    "inner_apex": (0.11, 0.05),
    "inner_base": (0.24, 0.10),
    "outer": (0.64, 0.13),
    "apex": (-0.60, 0.16),
    "base": (0.50, 0.20),
    "dome": (0.30, 0.12),  # how much lower the diaphragm is at its edges than in the middle
    "tilt": (0.00, 0.06),
}
REACH = 2.0  # scales from the middle that the bank covers
WIDEST = 0.75  # of the height, from the apex
RING, SOFTNESS = 0.12, 0.03  # how wide the ring is, and how soft the border of a shape
BACKGROUND = 0.7  # local standard deviations: air beside the patient counts as bright as the chest wall
UNUSUAL, UNLIKE = 0.35, 1.0  # weight of an unusual shape and of an unlike pair, against the strength of the edge
CANDIDATES, AVERAGED = 200, 30  # shapes of each side that are paired; pairs whose mean is the answer
FAINTEST = 0.5  # local standard deviations between ring and lungs; less is no pair of lungs


@dataclass(frozen=True)
class Lungs:
    """masks: both lungs, bool [n, S, S]. contrasts: how much darker they are than the ring round them, the mean of both
    sides in local standard deviations, [n]. plausible: whether that is enough to call them lungs, [n].
    """

    masks: Masks
    contrasts: Array

    @property
    def plausible(self) -> NDArray[np.bool_]:
        return self.contrasts >= FAINTEST


@dataclass(frozen=True)
class _Bank:
    """Right halves of pictures; a lung on the left is sought in the mirrored film."""

    shapes: Array  # [b, measures]
    areas: Array  # [b, GRID²] in [0, 1]
    templates: Array  # [b, GRID²]: a field's product with one is the contrast of that shape over its standard error
    errors: Array  # [b]: that standard error, in units of one cell's standard deviation


def find(pixels: Pixels) -> Lungs:
    """The lungs on films of any size, uint8 [n, S, S], about upright and stretched to a square."""
    bank = _bank()
    masks, contrasts = np.zeros(pixels.shape, dtype=bool), np.zeros(len(pixels), dtype=np.float32)
    for row, film in enumerate(pixels):
        field = _field(film)
        sides: list[Array] = [side.reshape(-1) @ bank.templates.T for side in (field[:, ::-1], field)]
        # Rounded, so that the last digits of a sum, which depend on the processor, decide nothing.
        left, right, weights = _best_pairs(bank, *(np.round(side, 4).astype(np.float64) for side in sides))
        contrasts[row] = np.mean(
            [weights @ (side * bank.errors)[at] for side, at in zip(sides, (left, right), strict=True)]
        )
        halves = [(weights @ bank.areas[at]).reshape(GRID, GRID) for at in (left, right)]
        masks[row] = _enlarged(halves[0][:, ::-1], len(film)) | _enlarged(halves[1], len(film))
    return Lungs(masks, np.round(contrasts, 4))


def _bank() -> _Bank:
    middles, scales = np.array([*MEASURES.values()], dtype=np.float32).T
    drawn = np.random.default_rng(SEED).uniform(-REACH, REACH, (SHAPES, len(MEASURES))).astype(np.float32)
    shapes = middles + scales * drawn
    centres = ((np.arange(GRID) + 0.5) * 2 / GRID - 1).astype(np.float32)
    y, x = (axis.ravel() for axis in np.meshgrid(centres, centres, indexing="ij"))
    depth = _depth(shapes, x, y)
    areas, larger = (np.clip((depth + grown) / (2 * SOFTNESS) + 0.5, 0, 1) for grown in (0, RING))
    rings = larger - areas
    inside, around = (part.sum(axis=1, keepdims=True) + 1e-3 for part in (areas, rings))
    errors = np.sqrt(1 / inside + 1 / around)
    return _Bank(shapes, areas, (rings / around - areas / inside) / errors, errors[:, 0])


def _depth(shapes: Array, x: Array, y: Array) -> Array:
    """How far each point [m] lies within each lung [b], about: [b, m], negative outside."""
    inner_apex, inner_base, outer, apex, base, dome, tilt = (column[:, None] for column in shapes.T)
    lateral = x - tilt * y
    down = (y - apex) / (base - apex)
    up = np.clip((WIDEST - down) / WIDEST, 0, 1)
    wall = outer * (0.35 + 0.65 * np.sqrt(1 - up * up * (0.25 + 0.75 * up)))
    inner = inner_apex + (inner_base - inner_apex) * np.clip(down, 0, 1) ** 2
    top = apex + (lateral - inner_apex - 0.3 * (outer - inner_apex)) ** 2
    diaphragm = base + dome * (lateral / outer - 0.5) ** 2
    return np.minimum(np.minimum(wall - lateral, lateral - inner), np.minimum(y - top, diaphragm - y))


def _field(film: Pixels) -> Array:
    """The film on the grid, each place relative to its surroundings in local standard deviations: [GRID, GRID]."""
    small = Image.fromarray(film).resize((GRID, GRID), Image.Resampling.BILINEAR, reducing_gap=3.0)
    grey = np.asarray(small, dtype=np.float64) / 255
    chest = grey[GRID // 5 : GRID * 7 // 10, GRID // 5 : GRID * 4 // 5]
    darkest, lightest = np.quantile(chest, [0.03, 0.97])
    regions, _ = ndimage.label(grey <= darkest)
    frame = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    patient = ~np.isin(regions, frame[frame > 0])  # all but the darkness that touches the frame
    grey = np.clip(grey, darkest, lightest)

    def around(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return ndimage.gaussian_filter(values * patient, 0.16 * GRID, mode="constant")

    share = around(np.ones_like(grey)) + 1e-3
    relative = grey - around(grey) / share
    field = relative / (np.sqrt(around(relative**2) / share) + 0.02)
    return np.where(patient, field, BACKGROUND).astype(np.float32)


def _best_pairs(
    bank: _Bank, left: NDArray[np.float64], right: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """The AVERAGED best pairs as rows of the bank, and their weights, which sum to 1. left, right: strengths, [b]."""
    middles, scales = np.array([*MEASURES.values()]).T
    unusual = UNUSUAL * 0.5 * (((bank.shapes - middles) / scales) ** 2).sum(axis=1)
    chosen = [np.argsort(unusual - side, kind="stable")[:CANDIDATES] for side in (left, right)]
    one = dict(zip(MEASURES, bank.shapes[chosen[0]].T[:, :, None], strict=True))
    other = dict(zip(MEASURES, bank.shapes[chosen[1]].T[:, None, :], strict=True))
    width, other_width = (lung["outer"] - lung["inner_apex"] for lung in (one, other))
    unlike = (
        ((one["apex"] - other["apex"]) / 0.07) ** 2
        + ((one["base"] - other["base"]) / 0.14) ** 2
        + ((one["inner_apex"] + other["inner_apex"] - 0.22) / 0.08) ** 2  # the mediastinum between them
        + ((width - other_width) / 0.12) ** 2
        + ((one["tilt"] + other["tilt"]) / 0.06) ** 2  # a film that is turned tilts both to the same side
    )
    strength = [(side - unusual)[at] for side, at in zip((left, right), chosen, strict=True)]
    total = (strength[0][:, None] + strength[1][None, :] - UNLIKE * 0.5 * unlike).ravel()
    best = np.argsort(-total, kind="stable")[:AVERAGED]
    weights = np.exp(total[best] - total[best[0]])
    rows, columns = np.unravel_index(best, (CANDIDATES, CANDIDATES))
    return chosen[0][rows], chosen[1][columns], weights / weights.sum()


def _enlarged(area: NDArray[np.float64], side: int) -> NDArray[np.bool_]:
    picture = Image.fromarray(area.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(picture) > 0.5
