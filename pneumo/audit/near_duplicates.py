"""One radiograph saved twice: at another quality, brightness or contrast, slightly cropped or shifted.

A perceptual hash proposes pairs, and their pixels decide. The hash alone is not enough: chest X-rays are so alike that
among 5,856 real ones 1,869 pairs of different images differ in at most 6 of its 64 bits.
"""

import imagehash
import numpy as np
import pandas as pd
import scipy.fft
from numpy.typing import NDArray
from PIL import Image

from pneumo.preprocessing import copies

SIDED = ("split", "label", "patient")
COLUMNS = ("image_a", "image_b", "distance", "correlation", *(f"{name}_{side}" for name in SIDED for side in "ab"))

# Measured on 300 real radiographs at 128 pixels and 300 phantoms at 96, each saved again at JPEG quality 50, 15 %
# brighter and cropped by 2 % on every side, against all pairs of different images of the same sets. 99 % of the copies
# are found; so are copies cropped by 2 % on two sides only, turned by 1 degree, or with gamma 1.4. Of copies cropped by
# 3 % on every side, or with a large new mark in a corner, a third is found; mirror images are not looked for.
MAX_DISTANCE = 12  # of 64 bits. The copies: at most 12 (real), and at most 12 but for 1 in 75 (phantoms)
MIN_UNALIGNED = 0.7  # correlation before zooming. The copies: 0.74 and more; 1 in 75 real candidates remains
# Once aligned, the copies have 0.98 and more, the other changes 0.95. Of 17 million real pairs of different exposures
# the most alike has 0.88, perhaps two films of one child; of the phantoms, 0.85.
MIN_CORRELATION = 0.92

SIDE = 64  # pixels, of the squares that are compared
ZOOMS = (1.0, 0.99, 0.98, 0.97, 0.96, 0.95, 0.94)  # share of each side that remains
FINE, COARSE = 0.5, 3.0  # pixels of the square: details between these count, not the shape that all chests share
TAPER = 8  # pixels over which the borders fade, so that a shift does not wrap them around
BLOCK = 512  # images or pairs held at once

Indices = NDArray[np.intp]
Spectra = NDArray[np.complex64]


def find(manifest: pd.DataFrame, pixels: NDArray[np.uint8]) -> pd.DataFrame:
    """Pairs of images that show one exposure, COLUMNS, the most alike first; exact copies are left out.

    pixels: uint8 [N, S, S], row i of `manifest`. distance: bits of the perceptual hash that differ, of 64.
    correlation: of the details of the two pictures at the best shift and zoom, in [-1, 1].
    """
    digests = np.array(copies.digests(pixels))
    a, b, distance = candidates(hashes(pixels))
    keep = digests[a] != digests[b]
    a, b, distance = a[keep], b[keep], distance[keep]
    likely = unaligned(pixels, a, b) >= MIN_UNALIGNED
    a, b, distance = a[likely], b[likely], distance[likely]
    correlation = aligned(pixels, a, b)
    near = correlation >= MIN_CORRELATION
    sides = {"a": manifest.iloc[a[near]], "b": manifest.iloc[b[near]]}
    columns = {f"image_{side}": rows["image"].to_numpy() for side, rows in sides.items()}
    columns |= {"distance": distance[near], "correlation": correlation[near]}
    columns |= {f"{name}_{side}": rows[name].to_numpy() for name in SIDED for side, rows in sides.items()}
    table = pd.DataFrame(columns, columns=list(COLUMNS))
    return table.sort_values(["correlation", "image_a", "image_b"], ascending=[False, True, True], ignore_index=True)


def between(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> tuple[Indices, Indices]:
    """Rows of `first` and of `second`, uint8 [N, S, S] and [M, S, S], that show one exposure."""
    hashed, others = hashes(first), hashes(second)
    close = [np.empty((0, 2), np.intp)]
    for start in range(0, len(hashed), BLOCK):
        distance = np.bitwise_count(hashed[start : start + BLOCK, None] ^ others[None])
        close.append(np.argwhere(distance <= MAX_DISTANCE) + np.array([start, 0]))
    a, b = np.concatenate(close).T
    rows, columns = np.unique(a), np.unique(b)
    pixels = np.concatenate([first[rows], second[columns]])  # of the candidates alone
    at, to = np.searchsorted(rows, a), len(rows) + np.searchsorted(columns, b)
    likely = unaligned(pixels, at, to) >= MIN_UNALIGNED
    near = np.flatnonzero(likely)[aligned(pixels, at[likely], to[likely]) >= MIN_CORRELATION]
    return a[near], b[near]


def summary(pairs: pd.DataFrame) -> dict[str, int]:
    """Pairs, and how many of them reach across splits, classes and patients."""
    across = {"splits": "split", "classes": "label", "patients": "patient"}
    differ = {word: pairs[f"{column}_a"] != pairs[f"{column}_b"] for word, column in across.items()}
    return {"pairs": len(pairs), **{f"pairs_across_{word}": int(rows.sum()) for word, rows in differ.items()}}


def hashes(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Perceptual hash of each image, 64 bits."""
    bits = [imagehash.phash(Image.fromarray(image)).hash.ravel() for image in pixels]
    return np.packbits(np.reshape(bits, (-1, 64)).astype(bool), axis=1).view(np.uint64)[:, 0]


def candidates(hashed: NDArray[np.uint64]) -> tuple[Indices, Indices, NDArray[np.uint8]]:
    """Rows a < b of all pairs whose hashes differ in at most MAX_DISTANCE bits, and in how many they do."""
    rows, columns, distances = [np.empty(0, np.intp)], [np.empty(0, np.intp)], [np.empty(0, np.uint8)]
    for start in range(0, len(hashed), BLOCK):
        distance = np.bitwise_count(hashed[start : start + BLOCK, None] ^ hashed[None, start:])
        a, b = np.nonzero(np.triu(distance <= MAX_DISTANCE, k=1))
        rows.append(a + start)
        columns.append(b + start)
        distances.append(distance[a, b])
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(distances)


def unaligned(pixels: NDArray[np.uint8], a: Indices, b: Indices) -> NDArray[np.float32]:
    """Correlation of the pairs (a, b) at the best shift, [n]. Holds 17 kB an image."""
    whole = np.empty((len(pixels), SIDE, SIDE // 2 + 1), np.complex64)
    for start in range(0, len(pixels), BLOCK):
        whole[start : start + BLOCK] = spectra(pixels[start : start + BLOCK], (1.0,))[:, 0]
    blocks = [_peaks(whole[a[at : at + BLOCK]], whole[b[at : at + BLOCK]]) for at in range(0, len(a), BLOCK)]
    return np.concatenate([*blocks, np.empty(0, np.float32)])


def aligned(pixels: NDArray[np.uint8], a: Indices, b: Indices) -> NDArray[np.float32]:
    """Correlation of the pairs (a, b) at the best shift and the best zoom of either picture, [n]."""
    blocks = [np.empty(0, np.float32)]
    step = max(1, BLOCK // len(ZOOMS))
    for at in range(0, len(a), step):
        first, second = (spectra(pixels[rows[at : at + step]], ZOOMS) for rows in (a, b))
        zoomed = np.maximum(_peaks(first, second[:, :1]), _peaks(first[:, :1], second))
        blocks.append(zoomed.max(axis=1))
    return np.concatenate(blocks)


def spectra(pixels: NDArray[np.uint8], zooms: tuple[float, ...]) -> Spectra:
    """Fourier transforms of the details of each image at each zoom, of unit power: [n, zooms, SIDE, SIDE // 2 + 1]."""
    squares = np.array([[_zoomed(image, zoom) for zoom in zooms] for image in pixels], dtype=np.float32)
    squares -= squares.mean(axis=(-2, -1), keepdims=True)
    details = scipy.fft.rfft2(squares * _WINDOW) * _DETAILS
    # The half-plane lacks the mirror images of all columns but the first and the last.
    power = 2 * np.square(np.abs(details)).sum(axis=(-2, -1))
    power -= np.square(np.abs(details[..., [0, -1]])).sum(axis=(-2, -1))
    return details / np.sqrt(np.maximum(power, np.finfo(np.float32).tiny))[..., None, None]


def _peaks(first: Spectra, second: Spectra) -> NDArray[np.float32]:
    """Highest correlation over all shifts; parabolas through the neighbours reach shifts of fractions of a pixel."""
    correlation = scipy.fft.irfft2(first * second.conj(), s=(SIDE, SIDE)) * SIDE**2
    planes = correlation.reshape(-1, SIDE, SIDE)
    index = np.arange(len(planes))
    y, x = np.unravel_index(planes.reshape(len(planes), -1).argmax(axis=1), (SIDE, SIDE))
    top = planes[index, y, x]
    peak = top.copy()
    for down, right in ((1, 0), (0, 1)):
        after = planes[index, (y + down) % SIDE, (x + right) % SIDE]
        before = planes[index, y - down, x - right]
        peak += (after - before) ** 2 / (8 * np.maximum(2 * top - after - before, np.finfo(np.float32).tiny))
    return peak.reshape(correlation.shape[:-2])


def _zoomed(image: NDArray[np.uint8], zoom: float) -> NDArray[np.uint8]:
    cut = (1 - zoom) / 2 * len(image)
    box = (cut, cut, len(image) - cut, len(image) - cut)
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box))


def _band_pass() -> NDArray[np.float32]:
    """Difference of Gaussians of FINE and COARSE pixels, in the half-plane of rfft2."""
    squared = np.fft.fftfreq(SIDE)[:, None] ** 2 + np.fft.rfftfreq(SIDE)[None] ** 2
    fine, coarse = (np.exp(-2 * np.pi**2 * width**2 * squared) for width in (FINE, COARSE))
    return (fine - coarse).astype(np.float32)


def _tapered() -> NDArray[np.float32]:
    fade = np.minimum(1, (np.minimum(np.arange(SIDE), np.arange(SIDE)[::-1]) + 0.5) / TAPER)
    return np.outer(fade, fade).astype(np.float32)


_DETAILS, _WINDOW = _band_pass(), _tapered()
