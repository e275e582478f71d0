"""Radiographs that are drawn, not taken: a stand-in wherever the real dataset is not at hand.

Folders, file names and habits are those of the real one: a patient has one or several images, nobody is on both sides
of the official border, and the test set is a block of numbers of its own. Bacterial pneumonia is one or two lobar
consolidations, viral pneumonia a patchy haze around both hila. Exposure, noise, framing and JPEG quality are drawn
without regard to the class, so that neither the mean brightness nor the size of a file gives it away.

The pictures serve to try the pipeline. What a model scores on them says nothing about patients.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from pneumo.data import listing
from pneumo.errors import SourceError
from pneumo.sources import FOLDERS, kermany
from pneumo.sources.anatomy import View, attenuation
from pneumo.sources.patient import Array, Finding, Patient
from pneumo.sources.replacing import replacing

if TYPE_CHECKING:
    from pneumo.params import Source

SPLITS = ("train", "val", "test")
FINDINGS: tuple[Finding, ...] = ("normal", "bacterial", "viral")
NUMBERING_ORDER = ("test", "train", "val")  # so that each split's patients are a block, as in the real dataset
IMAGES_PER_PATIENT = (1, 1, 1, 2, 2, 3)
SMALLEST = 32  # pixels
FEW = 100  # images: so few are drawn in this process, before others would have started
AT_ONCE = 16  # images handed to a process together, among them those of one patient
Exposure = dict[str, float]
RANGES = {  # of whatever sets brightness, borders and file size: the same for every class
    "height": (0.9, 1.15),  # times the size asked for
    "aspect": (1.0, 1.45),
    "extent": (0.8, 1.0),  # trunk heights in the picture's height
    "span": (0.86, 1.02),  # trunk heights in the picture's width, over the root of the aspect
    "arms": (0.0, 1.0),
    "borders": (0.0, 4.0),
    "mean": (100.0, 145.0),  # grey value
    "contrast": (50.0, 64.0),  # standard deviation of the grey values
    "noise": (0.0, 1.0),
    "blur": (0.0, 3.0),
    "quality": (72.0, 96.0),  # JPEG
}
LETTERS = {
    "L": ((0, 0), (0, 1), (0.6, 1)),
    "R": ((0, 1), (0, 0), (0.45, 0), (0.6, 0.13), (0.6, 0.37), (0.45, 0.5), (0, 0.5), (0.25, 0.5), (0.6, 1)),
}


def obtain(data: Source, raw: Path, downloads: Path) -> dict[str, int]:
    """Fill `raw` with the images that data.phantom describes."""
    assert data.phantom  # params.SOURCES demands it
    return draw(raw, seed=data.phantom.seed, images=data.phantom.images, size=data.phantom.size)


def draw(
    raw: Path, *, seed: int, images: Mapping[str, Mapping[str, int]], size: int, processes: int | None = None
) -> dict[str, int]:
    """Draw a dataset into `raw/{train,val,test}/{NORMAL,PNEUMONIA}`; return the number of images by folder.

    images: number of images by split (train, val, test) and finding (normal, bacterial, viral); missing ones are 0.
    size: about the images' height in pixels. processes: None chooses. The same seed, images and size give the same
    bytes, and changing the number of images of one split and finding leaves the pictures of the others as they are.
    An existing `raw` is replaced only when everything new is on disk. Raises SourceError for senseless arguments.
    """
    _check(seed, images, size)
    films = [film for finding in FINDINGS for film in _films(seed, finding, images)]
    with replacing(raw, FOLDERS) as fresh:
        _draw(films, partial(_radiograph, seed, size, fresh), processes or (1 if len(films) < FEW else os.cpu_count()))
        listing.write([kermany.identify(film.path) for film in films], (), fresh)
    counts = Counter(film.path.rpartition("/")[0] for film in films)
    return {folder: counts[folder] for folder in FOLDERS}


def _draw(films: Sequence[Film], radiograph: Callable[[Film], None], processes: int | None) -> None:
    if processes == 1:
        for film in films:
            radiograph(film)
    else:
        with ProcessPoolExecutor(processes) as pool:
            for _ in pool.map(radiograph, films, chunksize=AT_ONCE):
                pass  # raises what was raised there


def _check(seed: int, images: Mapping[str, Mapping[str, int]], size: int) -> None:
    if seed < 0:
        raise SourceError(f"seed is {seed}; expected 0 or more")
    if size < SMALLEST:
        raise SourceError(f"size is {size}; expected at least {SMALLEST} pixels")
    for split, counts in images.items():
        if split not in SPLITS:
            raise SourceError(f"images has a split {split!r}; expected one of {', '.join(SPLITS)}")
        for finding, count in counts.items():
            if finding not in FINDINGS:
                raise SourceError(f"images.{split} has {finding!r}; expected one of {', '.join(FINDINGS)}")
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise SourceError(f"images.{split}.{finding} is {count!r}; expected a whole number, 0 or more")


@dataclass(frozen=True)
class Film:
    """One image to draw: of which patient, which of that patient's images, how it is exposed and where it goes."""

    finding: Finding
    patient: tuple[int, int, int]  # finding, split, and how many patients came before in that split
    view: int
    path: str
    exposure: Exposure


def _films(seed: int, finding: Finding, images: Mapping[str, Mapping[str, int]]) -> Iterator[Film]:
    patients_named = {"NORMAL2-": 0, "": 0}
    images_named = 0
    for split in NUMBERING_ORDER:
        remaining = images.get(split, {}).get(finding, 0)
        key = FINDINGS.index(finding), SPLITS.index(split)
        rng = _generator(seed, 0, *key)
        exposures = _exposures(seed, key, remaining)
        patient = 0
        while remaining:
            views = min(remaining, int(rng.choice(IMAGES_PER_PATIENT)))
            prefix = "NORMAL2-" if finding == "normal" and rng.random() < 0.5 else ""
            patients_named[prefix] += 1
            for view in range(views):
                images_named += 1
                name = _name(finding, prefix, patients_named[prefix], view, images_named)
                yield Film(finding, (*key, patient), view, f"{split}/{name}", next(exposures))
            patient, remaining = patient + 1, remaining - views


def _name(finding: Finding, prefix: str, number: int, view: int, image: int) -> str:
    if finding == "normal":
        repeat = f"-{view:04}" if view else ""
        return f"NORMAL/{prefix}IM-{number:04}-0001{repeat}.jpeg"
    cause = "bacteria" if finding == "bacterial" else "virus"
    return f"PNEUMONIA/person{number}_{cause}_{image}.jpeg"


def _generator(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _exposures(seed: int, key: tuple[int, int], count: int) -> Iterator[Exposure]:
    """Exposures by Latin hypercube: of every ten images of a split and finding, one lies in each tenth of every range.

    Drawn independently, a hundred test images would differ by class in some of them, by chance alone.
    """
    lows, highs = np.array([*RANGES.values()]).T
    for block in range(count // 10 + 1):
        rng = _generator(seed, 5, *key, block)
        tenths = np.stack([rng.permutation(10) for _ in RANGES], axis=1)
        for row in lows + (highs - lows) * (tenths + rng.random(tenths.shape)) / 10:
            yield dict(zip(RANGES, row.tolist(), strict=True))


def _radiograph(seed: int, size: int, folder: Path, film: Film) -> None:
    pose, grain = (_generator(seed, use, *film.patient, film.view) for use in (3, 4))
    exposure = film.exposure
    height = round(size * exposure["height"])
    shape = height, round(height * exposure["aspect"])
    view = View.sample(pose, shape, exposure["extent"], exposure["span"], raised=exposure["arms"] < 0.4)
    shadow = _with_letters_and_leads(attenuation(_patient(seed, film.patient, film.finding), view), grain)
    pixels = np.round(_developed(shadow, exposure, grain)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / film.path, format="JPEG", quality=int(exposure["quality"]))


@lru_cache(maxsize=1)  # a patient's images follow one another
def _patient(seed: int, key: tuple[int, int, int], finding: Finding) -> Patient:
    body, illness = (_generator(seed, use, *key) for use in (1, 2))
    return Patient.sample(body, illness, finding)


def _with_letters_and_leads(shadow: Array, rng: np.random.Generator) -> Array:
    """Add the metal: a side letter on most images, the leads of an electrocardiograph on some."""
    height, width = 2 * shadow.shape[0], 2 * shadow.shape[1]
    metal = Image.new("L", (width, height))
    pen = ImageDraw.Draw(metal)
    if rng.random() < 0.8:
        letter = LETTERS["L" if rng.random() < 0.5 else "R"]
        tall = height * rng.uniform(0.04, 0.07)
        corner = rng.uniform(0.03, 0.92) * width, rng.uniform(0.03, 0.9) * height
        points = [(corner[0] + tall * across, corner[1] + tall * down) for across, down in letter]
        pen.line(points, fill=230, width=max(2, round(tall / 6)))
    for _ in range(max(0, int(rng.integers(-8, 4)))):
        strides = rng.uniform(-0.035, 0.035, (6, 2)) + rng.uniform(-0.1, 0.1, 2)
        knots = rng.uniform(0.2, 0.8, 2) + np.cumsum(strides, axis=0)
        pen.line([(width * u, height * v) for u, v in knots.tolist()], fill=90, width=3, joint="curve")
    return shadow + np.asarray(metal.reduce(2), dtype=float) / 255


def _developed(shadow: Array, exposure: Exposure, rng: np.random.Generator) -> Array:
    """The film's grey values: blur, quantum noise, a tone curve, then the exposure's mean and contrast."""
    for _ in range(int(exposure["blur"])):
        shadow = _blurred(shadow)
    height, width = shadow.shape
    tilt = rng.uniform(-0.12, 0.12, 2)
    shadow = shadow + tilt[0] * np.linspace(-1, 1, width) + tilt[1] * np.linspace(-1, 1, height)[:, None]
    grain = rng.standard_normal(shadow.shape)
    if rng.random() < 0.5:
        grain = 1.8 * _blurred(grain)
    noise = 0.004 + 0.044 * exposure["noise"] ** 2
    shadow = shadow + noise * (0.6 + 0.5 * np.clip(shadow, 0, 2)) * grain
    knee = rng.uniform(0.6, 1.1)
    light = np.maximum(shadow - 0.12, 0)  # the film is black beyond the skin
    tone = light / np.sqrt(1 + 0.35 * (light / knee) ** 2)
    for _ in range(3):  # clipping shifts mean and contrast a little
        tone = np.clip(exposure["mean"] + exposure["contrast"] * (tone - tone.mean()) / tone.std(), 0, 255)
    _collimate(tone, int(exposure["borders"]), rng)
    return tone


def _blurred(picture: Array) -> Array:
    for axis in (0, 1):
        lines = np.moveaxis(picture, axis, 0)
        soft = 0.5 * lines
        soft[1:] += 0.25 * lines[:-1]
        soft[:-1] += 0.25 * lines[1:]
        soft[[0, -1]] += 0.25 * lines[[0, -1]]
        picture = np.moveaxis(soft, 0, axis)
    return picture


def _collimate(picture: Array, borders: int, rng: np.random.Generator) -> None:
    """Darken in place some borders, which the beam did not reach."""
    shade = rng.uniform(0, 40)
    for turns in rng.permutation(4)[:borders].tolist():
        turned = np.rot90(picture, turns)
        turned[: int(rng.uniform(0.01, 0.05) * len(turned))] = shade
