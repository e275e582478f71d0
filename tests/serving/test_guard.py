"""What is unlike the training images is said so, and proper ones seldom are."""

import io

import numpy as np
import pytest
from bundles import draw, write_processed
from PIL import Image
from sklearn.decomposition import PCA

from pneumo.data import packed
from pneumo.errors import BundleError
from pneumo.export import guard as fitting
from pneumo.serving import guard, model
from pneumo.serving.predict import predictions


def pixels(count, size=40, first=0):
    """Smooth noise, bright above and dark below, as all training images here are."""
    slope = np.linspace(200, 50, size)[:, None]
    made = [slope + np.random.default_rng(seed).normal(0, 12, (size, size)) for seed in range(first, first + count)]
    return np.stack(made).clip(0, 255).astype(np.uint8)


def test_the_distance_is_that_of_a_probabilistic_pca():
    train, other = pixels(200), pixels(20, first=500)
    found = fitting.fit(train, pixels(100, first=300)).guard.distances(other)
    pca = PCA(32, svd_solver="full").fit(guard.thumbnails(train))
    likelihood = pca.score_samples(guard.thumbnails(other))
    constant = found + 2 * likelihood  # twice the logarithm of the density is the distance and a constant
    np.testing.assert_allclose(constant, constant.mean(), atol=0.05)
    assert np.ptp(found) > 10


def test_one_in_a_hundred_validation_images_is_flagged_and_what_is_unlike_is():
    val = pixels(400, first=300)
    fitted = fitting.fit(pixels(200), val)
    assert (fitted.guard.distances(val) > fitted.limit).mean() <= fitting.FLAGGED
    assert (fitted.guard.distances(pixels(400, first=1000)) > fitted.limit).mean() < 0.05
    proper = pixels(20, first=2000)
    for unlike in (proper[:, ::-1], 255 - proper, np.rot90(proper, axes=(1, 2))):
        assert (fitted.guard.distances(unlike) > fitted.limit).all()


@pytest.mark.parametrize("size", [32, 40, 96, 299])
def test_a_thumbnail_has_the_means_of_equal_parts_and_no_exposure(size):
    image = np.asarray(Image.fromarray(pixels(1)[0]).resize((size, size)))
    thumbnail = guard.thumbnails(image[None])[0]
    assert thumbnail.shape == (256,)
    assert thumbnail.mean() == pytest.approx(0, abs=1e-9)
    assert thumbnail.std() == pytest.approx(1)
    darker = guard.thumbnails((image // 2)[None])[0]
    np.testing.assert_allclose(darker, thumbnail, atol=0.05)
    assert np.isfinite(guard.thumbnails(np.full((1, size, size), 7, np.uint8))).all()


def test_what_is_written_is_read_and_nothing_else_is():
    fitted = fitting.fit(pixels(60), pixels(30, first=100))
    data = fitted.guard.to_bytes()
    assert data == fitted.guard.to_bytes()
    again = guard.from_bytes(data, "guard.npz")
    np.testing.assert_array_equal(again.distances(pixels(3)), fitted.guard.distances(pixels(3)))
    pickled = io.BytesIO()
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    for broken in (b"", data[:-30], pickled.getvalue()):
        with pytest.raises(BundleError, match=r"guard\.npz"):
            guard.from_bytes(broken, "guard.npz")


def test_only_training_images_decide_what_is_like_them(tmp_path):
    processed = write_processed(tmp_path / "processed", 40)
    train, val = (packed.read_split(processed, split).pixels(slice(None)) for split in ("train", "val"))
    assert fitting.fit(train, val).guard.to_bytes() == fitting.fit(train, val[::-1] // 2).guard.to_bytes()


def test_a_prediction_says_what_is_unlike(exported, tmp_path):
    loaded = model.load(exported)
    proper = draw(tmp_path / "films", 12)
    stripes = tmp_path / "stripes.png"
    Image.fromarray(np.tile(np.array([[0], [255]], np.uint8), (30, 50))).save(stripes)
    found = {one.image: one.warnings for one in predictions(loaded, [*proper, stripes])}
    assert found[str(stripes)] == (guard.WARNING,)
    assert sum(bool(warnings) for warnings in found.values()) <= 3
