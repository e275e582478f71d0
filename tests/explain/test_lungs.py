"""Lungs are found on phantoms, which know theirs, and not on what is no chest."""

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.lungs import draw, measure
from pneumo.explain import lungs


@pytest.fixture(scope="module")
def phantoms():
    """30 phantoms of 96 pixels, their true lungs and their findings."""
    return draw(30, seed=4, size=96)


def overlap(first, second):
    """The Dice score of two masks."""
    return 2 * (first & second).sum() / (first.sum() + second.sum())


def test_the_lungs_of_phantoms_are_found_whatever_their_illness(phantoms):
    table = measure(*phantoms)
    assert table["plausible"].all()
    means = table.groupby("finding")[["dice", "covered"]].mean()
    assert (means["dice"] > 0.78).all(), means
    assert (means["covered"] > 0.88).all(), means
    assert table["dice"].min() > 0.6


def test_the_place_of_the_lungs_of_another_phantom_is_worse(phantoms):
    """So it is the film that is looked at, not the average place alone."""
    pixels, truths, findings = phantoms
    assert (
        measure(pixels, truths, findings)["dice"].mean()
        > 0.05 + measure(np.roll(pixels, 1, 0), truths, findings)["dice"].mean()
    )


@pytest.mark.parametrize(
    ("change", "back"),
    [
        (lambda films: (films * 0.5 + 40).astype(np.uint8), lambda masks: masks),
        (lambda films: films.repeat(2, axis=1).repeat(2, axis=2), lambda masks: masks[:, ::2, ::2]),
        (lambda films: films[:, :, ::-1], lambda masks: masks[:, :, ::-1]),
    ],
    ids=["less contrast", "twice the pixels", "mirrored"],
)
def test_what_does_not_change_the_chest_does_not_move_the_lungs(phantoms, change, back):
    films = phantoms[0][::3]
    before = lungs.find(films).masks
    after = back(lungs.find(np.ascontiguousarray(change(films))).masks)
    assert np.mean([overlap(*pair) for pair in zip(before, after, strict=True)]) > 0.93


def _noise(side):
    return np.random.default_rng(0).integers(0, 256, (side, side)).astype(np.uint8)


@pytest.mark.parametrize(
    "film",
    [
        np.full((64, 64), 90, dtype=np.uint8),
        np.zeros((64, 64), dtype=np.uint8),
        np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1)),
        _noise(64),
        (ndimage.gaussian_filter(_noise(96).astype(float), 3) > 127).astype(np.uint8) * 255,
    ],
    ids=["grey", "black", "ramp", "noise", "blots"],
)
def test_what_is_no_chest_has_no_plausible_lungs(film):
    assert not lungs.find(film[None]).plausible[0]


def test_a_chest_on_its_side_or_inverted_seldom_has_plausible_lungs(phantoms):
    films = phantoms[0][::3]
    for changed in (np.ascontiguousarray(np.rot90(films, axes=(1, 2))), 255 - films):
        assert lungs.find(changed).plausible.mean() <= 0.2


def test_no_films_have_no_lungs():
    assert lungs.find(np.empty((0, 32, 32), dtype=np.uint8)).masks.shape == (0, 32, 32)
