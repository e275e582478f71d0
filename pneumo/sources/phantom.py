"""Radiographs that are drawn, not taken: a stand-in for the real dataset wherever that cannot be had.

Same folders, file names and habits as the real one: a patient has one or several images, nobody is on both sides of the
official border, the test part is a block of numbers of its own. Bacterial pneumonia is one or two lobar consolidations,
viral pneumonia a patchy haze round both hila. Exposure, noise, framing and JPEG quality are drawn without regard to
the class, so that neither the mean brightness nor the size of a file gives it away.

The pictures serve to try the pipeline. What a model scores on them says nothing about patients.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pneumo.errors import SourceError
from pneumo.sources import FOLDERS
from pneumo.sources.anatomy import Array, Finding, Patient, View, attenuation

PARTS = ("train", "val", "test")
FINDINGS: tuple[Finding, ...] = ("normal", "bacterial", "viral")
NUMBERED_FIRST = ("test", "train", "val")  # so each part's patients are a block, as in the real dataset
IMAGES_PER_PATIENT = (1, 1, 1, 2, 2, 3)
SMALLEST = 32
Exposure = dict[str, float]
RANGES = {  # of what sets brightness, borders and file size: alike for every class
    "height": (0.9, 1.15),  # of the size asked for
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


def draw(raw: Path, *, seed: int, images: Mapping[str, Mapping[str, int]], size: int) -> dict[str, int]:
    """Draw a dataset into `raw/{train,val,test}/{NORMAL,PNEUMONIA}`, whole or not at all.

    images: number of images by part (train, val, test) and finding (normal, bacterial, viral); none where missing.
    size: about the images' height in pixels. The same arguments give the same bytes; another number of images of one
    part and finding leaves the pictures of the others as they are. Returns the number of images by folder.
    An existing `raw` is replaced, and only once all of the new one is on disk. Raises SourceError for arguments that
    make no sense.
    """
    _check(seed, images, size)
    unfinished = raw.with_name(f".{raw.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)  # a killed run may have left one
    try:
        for folder in FOLDERS:
            (unfinished / folder).mkdir(parents=True)
        for finding in FINDINGS:
            counts = {part: images.get(part, {}).get(finding, 0) for part in NUMBERED_FIRST}
            for sitting in _sittings(seed, finding, counts):
                _radiograph(seed, sitting, size, unfinished / sitting.path)
        if raw.exists():
            shutil.rmtree(raw)
        unfinished.rename(raw)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return {folder: sum(1 for _ in (raw / folder).iterdir()) for folder in FOLDERS}


def _check(seed: int, images: Mapping[str, Mapping[str, int]], size: int) -> None:
    if seed < 0:
        raise SourceError(f"seed is {seed}; expected 0 or more")
    if size < SMALLEST:
        raise SourceError(f"size is {size}; expected at least {SMALLEST} pixels")
    for part, counts in images.items():
        if part not in PARTS:
            raise SourceError(f"images has a part {part!r}; expected one of {', '.join(PARTS)}")
        for finding, count in counts.items():
            if finding not in FINDINGS:
                raise SourceError(f"images.{part} has {finding!r}; expected one of {', '.join(FINDINGS)}")
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise SourceError(f"images.{part}.{finding} is {count!r}; expected a whole number, 0 or more")


@dataclass(frozen=True)
class Sitting:
    """One image to take: of whom, and where it goes."""

    finding: Finding
    patient: tuple[int, int, int]  # finding, part, and how many patients came before in that part
    view: int
    path: str
    exposure: Exposure


def _sittings(seed: int, finding: Finding, counts: Mapping[str, int]) -> Iterator[Sitting]:
    number = {"NORMAL2-": 0, "": 0}
    taken = 0
    for part, count in counts.items():
        key = FINDINGS.index(finding), PARTS.index(part)
        rng = _generator(seed, 0, *key)
        lots = _lots(seed, key, count)
        patient = 0
        while count:
            several = min(count, int(rng.choice(IMAGES_PER_PATIENT)))
            prefix = "NORMAL2-" if finding == "normal" and rng.random() < 0.5 else ""
            number[prefix] += 1
            for view in range(several):
                taken += 1
                name = _name(finding, prefix, number[prefix], view, taken)
                yield Sitting(finding, (*key, patient), view, f"{part}/{name}", next(lots))
            patient, count = patient + 1, count - several


def _name(finding: Finding, prefix: str, number: int, view: int, taken: int) -> str:
    if finding == "normal":
        repeat = f"-{view:04}" if view else ""
        return f"NORMAL/{prefix}IM-{number:04}-0001{repeat}.jpeg"
    cause = "bacteria" if finding == "bacterial" else "virus"
    return f"PNEUMONIA/person{number}_{cause}_{taken}.jpeg"


def _generator(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _lots(seed: int, key: tuple[int, int], count: int) -> Iterator[Exposure]:
    """Exposures by Latin hypercube: each ten images of a part and finding have one in each tenth of every range.

    Were they drawn one by one, then among a hundred test images some would differ by class, by chance alone.
    """
    lows, highs = np.array([*RANGES.values()]).T
    for block in range(count // 10 + 1):
        rng = _generator(seed, 5, *key, block)
        tenths = np.stack([rng.permutation(10) for _ in RANGES], axis=1)
        for row in lows + (highs - lows) * (tenths + rng.random(tenths.shape)) / 10:
            yield dict(zip(RANGES, row.tolist(), strict=True))


def _radiograph(seed: int, sitting: Sitting, size: int, path: Path) -> None:
    body, illness = (_generator(seed, use, *sitting.patient) for use in (1, 2))
    pose, film = (_generator(seed, use, *sitting.patient, sitting.view) for use in (3, 4))
    patient = Patient.born(body, illness, sitting.finding)
    exposure = sitting.exposure
    height = round(size * exposure["height"])
    shape = height, round(height * exposure["aspect"])
    view = View.taken(pose, shape, exposure["extent"], exposure["span"], raised=exposure["arms"] < 0.4)
    shadow = _with_letters_and_leads(attenuation(patient, view), film)
    pixels = np.round(_exposed(shadow, exposure, film)).astype(np.uint8)
    Image.fromarray(pixels).save(path, format="JPEG", quality=int(exposure["quality"]))


def _with_letters_and_leads(shadow: Array, rng: np.random.Generator) -> Array:
    """Adds the metal: the letter of the side on most images, the wires of an electrocardiograph on some."""
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


def _exposed(shadow: Array, exposure: Exposure, rng: np.random.Generator) -> Array:
    """The film's grey values: blur, quantum noise, a tone curve, then a mean and a contrast drawn by lot."""
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
    for _ in range(3):  # clipping moves mean and contrast a little
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
    """Darkens in place some borders, which the beam did not reach."""
    shade = rng.uniform(0, 40)
    for turns in rng.permutation(4)[:borders].tolist():
        turned = np.rot90(picture, turns)
        turned[: int(rng.uniform(0.01, 0.05) * len(turned))] = shade
