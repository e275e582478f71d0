"""A chest seen by X-rays: how strongly each point of the picture attenuates the beam.

Lengths are in body units, each about one trunk's height. `x` runs from the image's left to its right with the spine at
0, so that the patient's right lung is at negative x; `lateral` is its distance from the spine. `y` runs down, from the
base of the neck at 0 to the upper abdomen at 1.
Shapes are polynomials and square roots, which IEEE 754 rounds the same way everywhere; exponentials and sines differ
in the last digit from one processor to the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from pneumo.sources.patient import HILUM, Array, Patient

LUNG_TOP, LUNG_WIDEST = 0.1, 0.58


@dataclass(frozen=True)
class View:
    """How one image was taken: its size in pixels, and where the body lies and how it is held."""

    width: int
    height: int
    centre: tuple[float, float]
    extent: float  # body units from the top edge to the bottom edge
    stretch: float  # body units across one pixel, over body units down one pixel
    tilt: tuple[float, float]  # cosine and sine
    rotation: float  # how far the patient has turned: moves the heart and widens one lung
    breath: float  # how far the diaphragm lies below its middle position
    arm: tuple[float, float]  # direction of the upper arm, from the shoulder outwards

    @classmethod
    def sample(
        cls, rng: np.random.Generator, shape: tuple[int, int], extent: float, span: float, *, raised: bool
    ) -> View:
        """shape: height and width in pixels. span: body units from side to side, over the root of width / height."""
        height, width = shape
        sine = rng.uniform(-0.08, 0.08)
        return cls(
            width=width,
            height=height,
            centre=(rng.uniform(-0.045, 0.045), rng.uniform(0.38, 0.46)),
            extent=extent,
            stretch=span / (extent * float(np.sqrt(width / height))),
            tilt=(float(np.sqrt(1 - sine * sine)), sine),
            rotation=rng.uniform(-1, 1),
            breath=rng.uniform(-0.045, 0.035),
            arm=(rng.uniform(0.35, 0.7), -1.0) if raised else (rng.uniform(0.1, 0.5), 1.0),
        )

    def affine(self) -> tuple[float, float, float, float, float, float]:
        """(a, b, c, d, e, f): pixel (column, row) lies at x = a column + b row + c, y = d column + e row + f."""
        cosine, sine = self.tilt
        down, across = self.extent / self.height, self.extent / self.height * self.stretch
        a, b, d, e = across * cosine, -across * sine, down * sine, down * cosine
        half = (self.width - 1) / 2, (self.height - 1) / 2
        return (
            a,
            b,
            self.centre[0] - a * half[0] - b * half[1],
            d,
            e,
            self.centre[1] - d * half[0] - e * half[1],
        )

    def grid(self) -> tuple[Array, Array]:
        """x and y of every pixel's middle, each [height, width]."""
        a, b, c, d, e, f = self.affine()
        column, row = np.arange(self.width, dtype=float), np.arange(self.height, dtype=float)[:, None]
        return a * column + b * row + c, d * column + e * row + f

    def pixels(self, points: Array) -> Array:
        """Columns and rows, [n, 2], of the body points [n, 2]."""
        a, b, c, d, e, f = self.affine()
        x, y = points[:, 0] - c, points[:, 1] - f
        return np.stack([e * x - b * y, a * y - d * x], axis=1) / (a * e - b * d)


def attenuation(patient: Patient, view: View) -> Array:
    """Attenuation [height, width] of a patient seen in one view: 0 for air, about 1 for a trunk's soft tissue."""
    x, y = view.grid()
    left = x > 0
    lateral = np.abs(x)
    turn = 0.035 * view.rotation
    half = np.where(left, patient.width - turn, patient.width + turn)
    wall = _wall(half, y)
    dome = np.where(left, 0.675, 0.65) + view.breath
    tent = (lateral - 0.45 * half) / half
    below = y - dome - 0.3 * tent * tent
    heart = _heart(patient, x - 0.5 * turn, y)
    middle = _mediastinum(patient, x - turn, y)
    lung = _lung(lateral, y, wall, below) * (1 - 0.9 * np.maximum(heart, middle))

    body = _soft_tissue(patient, view, x, y, lateral)
    abdomen = _step(below, 0.012) * _step(wall - lateral, 0.03)
    bubble = _bump(x - patient.gas[0], patient.gas[2] + 0.02) * _bump(y - dome - patient.gas[1] - 0.05, patient.gas[2])
    coarse, fine = _texture(patient.coarse, view), _texture(patient.fine, view)
    vessels = _drawn(patient.vessels, view)

    total = body + 0.32 * heart + 0.28 * middle * (1 - 0.6 * heart) + 0.22 * abdomen * (1 + 0.25 * coarse)
    total -= 0.3 * bubble * abdomen
    total += patient.bone * _bones(patient, x - 0.3 * turn, y, lateral, wall, half)
    total += _breasts(patient, lateral, y) - 0.1 * _airway(x - 0.6 * turn, y) * middle
    haze = _opacity(patient, x, y, coarse, fine, vessels)
    air = lung * (0.72 + 0.03 * coarse) - lung * patient.vascularity * (0.22 * vessels + 0.012 * fine)
    hila = _bump(np.sqrt((lateral - HILUM[0]) ** 2 + 0.5 * (y - HILUM[1]) ** 2), 0.075)
    air -= 0.12 * patient.vascularity * hila * lung
    return np.maximum(total - air * (1 - haze), 0.0)


def _step(distance: Array, softness: float) -> Array:
    """0 outside, 1 inside, smooth within `softness` of the border."""
    t = distance * (0.5 / softness)
    t += 0.5
    np.clip(t, 0, 1, out=t)
    smooth = t * -2
    smooth += 3
    smooth *= t
    smooth *= t
    return smooth


def _bump(distance: Array, radius: float) -> Array:
    """1 at distance 0, smoothly 0 from `radius` on."""
    t = distance * (1 / max(radius, 1e-6))
    t *= t
    np.subtract(1, t, out=t)
    np.clip(t, 0, 1, out=t)
    t *= t
    return t


def _wall(half: Array, y: Array) -> Array:
    """The inner border of the rib cage: its distance from the midline at each point's y."""
    t = np.clip((LUNG_WIDEST - y) / (LUNG_WIDEST - LUNG_TOP), 0, 1)
    lower = np.clip(y - LUNG_WIDEST, 0, None)
    return 0.12 + (half - 0.12) * np.sqrt(1 - t * t * (0.25 + 0.75 * t)) - 0.25 * lower * lower


def _lung(lateral: Array, y: Array, wall: Array, below: Array) -> Array:
    apex = np.clip((LUNG_TOP + 0.12 - y) / 0.12, 0, 1)
    inner = 0.115 - 0.085 * np.sqrt(np.clip(1 - apex * apex, 0, 1))
    inside = _step(wall - 0.012 - lateral, 0.009) * _step(lateral - inner, 0.015)
    inside *= _step(-below, 0.008) * _step(y - LUNG_TOP, 0.01)
    depth = np.clip((wall - lateral) / 0.3, 0, 1)
    return inside * (0.68 + 0.32 * depth * (2 - depth))


def _heart(patient: Patient, x: Array, y: Array) -> Array:
    centre_x, centre_y, across, down = patient.heart
    along, beside = x - centre_x, y - centre_y - 0.25 * (x - centre_x)
    main = np.sqrt((along / across) ** 2 + (beside / down) ** 2)
    atrium = np.sqrt((x + 0.035) ** 2 + 0.45 * (y - centre_y + 0.02) ** 2) / (0.62 * across)
    return _step(1 - np.minimum(main, atrium), 0.09)


def _mediastinum(patient: Patient, x: Array, y: Array) -> Array:
    wide = patient.mediastinum + 0.3 * np.clip(y - 0.3, 0, 0.15)
    sail = patient.thymus * _bump(y - 0.27, 0.14) * np.where(x < 0, 1.0, 0.6)
    knob = 0.022 * _bump(y - 0.27, 0.06) * (x > 0)
    band = _step(wide + sail + knob - np.abs(x - 0.008), 0.018)
    return band * np.clip(0.45 + 1.6 * y, 0.35, 1)


def _soft_tissue(patient: Patient, view: View, x: Array, y: Array, lateral: Array) -> Array:
    trunk = patient.width + patient.fat + 0.03 * np.clip(y - 0.5, 0, None)
    slope = np.clip((y + 0.12) / 0.2, 0, 1)
    edge = 0.12 + (trunk - 0.12) * slope * slope
    across = np.clip(lateral / edge, 0, 1) ** 2
    body = _step(edge - lateral, 0.012) * (0.62 + 0.38 * np.sqrt(1 - across * across))
    chin = 0.4 * _step(-0.14 - y - 2.5 * x * x, 0.02) * _step(0.24 - lateral, 0.03)
    limb, bone = _arm(view, lateral, y, patient.width + 0.035)
    return np.maximum(body, 0.72 * limb) + 0.22 * patient.bone * bone + chin


def _arm(view: View, lateral: Array, y: Array, shoulder: float) -> tuple[Array, Array]:
    norm = np.sqrt(view.arm[0] ** 2 + view.arm[1] ** 2)
    along_x, along_y = view.arm[0] / norm, view.arm[1] / norm
    dx, dy = lateral - shoulder, y - 0.12
    along = np.clip(dx * along_x + dy * along_y, 0, None)
    distance = np.sqrt((dx - along * along_x) ** 2 + (dy - along * along_y) ** 2)
    head = _bump(along, 0.09)
    shaft = _step(0.02 + 0.02 * head - distance, 0.007) - 0.35 * (1 - head) * _step(0.01 - distance, 0.008)
    return _step(0.082 + 0.012 * _bump(along - 0.12, 0.2) - distance, 0.012), shaft


def _bones(patient: Patient, x: Array, y: Array, lateral: Array, wall: Array, half: Array) -> Array:
    first, spacing, drop, rise = patient.ribs
    q = np.clip(lateral / wall, 0, 1.05)
    reach = _step(wall + 0.012 - lateral, 0.012) * _step(y - LUNG_TOP + 0.03, 0.02)
    posterior = (y - first - drop * q * q + 0.02 * q * (1 - q)) / spacing
    anterior = (y - first - drop - rise * (1 - q) * (0.5 + 0.5 * q)) / (1.12 * spacing)
    cage = _rib(posterior, 0.27) * _step(lateral - 0.035, 0.02) * (0.13 + 0.1 * q * q)
    cage += _rib(anterior, 0.3) * _step(lateral - 0.18, 0.07) * 0.085
    cage *= reach * np.clip(1.9 - 1.6 * y, 0.45, 1)

    disc = y / 0.052
    disc -= np.floor(disc)
    spine = _step(0.042 - np.abs(x), 0.008) * (0.16 - 0.07 * _bump(disc - 0.5, 0.22))
    spine += 0.04 * _bump(x, 0.008) * _bump(disc, 0.3)
    s = np.clip((lateral - 0.03) / (half * 0.95), 0, 1)
    clavicle_y = 0.165 - 0.085 * s + 0.13 * s * (1 - s) * (1 - 2 * s)
    clavicle = _step(0.014 - np.abs(y - clavicle_y), 0.006) * (0.7 + 0.3 * _bump(y - clavicle_y, 0.02))
    clavicle *= _step(lateral - 0.035, 0.01) * _step(half + 0.03 - lateral, 0.015)
    blade_x, blade_y = (lateral - half * 0.97) / 0.085, (y - 0.235) / 0.13
    scapula = _step(1 - np.sqrt(blade_x**2 + blade_y**2), 0.12)
    return cage + spine + 0.2 * clavicle + 0.06 * scapula


def _rib(phase: Array, wide: float) -> Array:
    """Bands that repeat with each whole phase, brighter at their edges as cortical bone is."""
    distance = np.abs(phase - np.floor(phase) - 0.5)
    return _step(wide - distance, 0.09) * (0.7 + 0.3 * _bump(distance - wide + 0.06, 0.1))


def _breasts(patient: Patient, lateral: Array, y: Array) -> Array:
    d = np.sqrt(((lateral - 0.23) / 0.16) ** 2 + ((y - 0.52) / 0.17) ** 2)
    return patient.breast * 2 * _step(1 - d, 0.12) * np.clip(0.5 + (y - 0.45) / 0.25, 0, 1)


def _airway(x: Array, y: Array) -> Array:
    trachea = _step(0.02 - np.abs(x), 0.008) * _step(0.35 - y, 0.02)
    fork = np.abs(x) - (y - 0.34) * 1.1
    return trachea + _step(0.014 - np.abs(fork), 0.008) * _step(y - 0.34, 0.01) * _step(0.43 - y, 0.02)


def _drawn(lines: Array, view: View) -> Array:
    """The lines' density [height, width] in [0, 1], drawn at twice the size and averaged down."""
    start, end = view.pixels(lines[:, 0:2]) * 2 + 0.5, view.pixels(lines[:, 2:4]) * 2 + 0.5
    canvas = Image.new("L", (2 * view.width, 2 * view.height))
    pen = ImageDraw.Draw(canvas)
    per_unit = 2 * view.height / view.extent
    for index in np.argsort(lines[:, 4], kind="stable"):
        points = [*start[index].tolist(), *end[index].tolist()]
        pen.line(points, fill=int(255 * lines[index, 5]), width=max(1, round(lines[index, 4] * per_unit)))
    return np.asarray(canvas.reduce(2), dtype=float) / 255


def _texture(cells: Array, view: View) -> Array:
    """A patient's random lattice, stretched over the square from (-1, -0.5) to (1, 1.5), at each pixel."""
    a, b, c, d, e, f = view.affine()
    scale = len(cells) / 2
    corner = c - 0.5 * (a + b) + 1, f - 0.5 * (d + e) + 0.5  # Pillow puts a pixel's middle at a half
    data = (a * scale, b * scale, corner[0] * scale, d * scale, e * scale, corner[1] * scale)
    lattice = Image.fromarray(cells.astype(np.float32))
    size = (view.width, view.height)
    lattice = lattice.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC)
    return np.asarray(lattice, dtype=float)


def _opacity(patient: Patient, x: Array, y: Array, coarse: Array, fine: Array, vessels: Array) -> Array:
    """The share of the lung's air [height, width] that fluid has taken: 0 where the lung is healthy."""
    free = np.ones_like(x)
    ragged = 0.16 * coarse + 0.07 * fine
    for centre_x, centre_y, radius, density in patient.consolidations:
        distance = np.sqrt((x - centre_x) ** 2 + 0.8 * (y - centre_y) ** 2) / radius
        free *= 1 - density * _step(1 - distance + ragged, 0.45)
    if patient.finding == "viral":
        spread = np.sqrt((np.abs(x) - HILUM[0]) ** 2 + 0.5 * (y - HILUM[1]) ** 2)
        free *= 1 - patient.haze * _bump(spread, 0.3) * np.clip(0.8 + 0.25 * coarse + 0.3 * fine, 0, 1.4)
    return (1 - free) * (1 - 0.55 * vessels)  # the bronchi beside the vessels stay open
