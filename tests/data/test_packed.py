import numpy as np
import pandas as pd
import pytest

from pneumo.data import manifest, packed
from pneumo.errors import ManifestError


def store(folder, count=5, rows=5):
    pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 8), dtype=np.uint8)
    with packed.Writer(folder / "images.npy", 8) as writer:
        for image in pixels:
            writer.append(image)
    splits = ["train", "val", "test", "train", "test"][:rows]
    table = pd.DataFrame({"image": [f"{i}" for i in range(rows)], "split": splits, "patient": list("abcde")[:rows]})
    fixed = {"label": [0, 1, 0, 1, 1][:rows], "subtype": "unknown", "source_split": "train"}
    manifest.write(table.assign(**fixed, width=9, height=9, sha256="0"), folder / "manifest.csv")
    return pixels


def test_pixels_come_back_by_split(tmp_path):
    pixels = store(tmp_path)
    test = packed.read_split(tmp_path, "test")
    assert len(test) == 2
    assert test.labels.tolist() == [0, 1]
    np.testing.assert_array_equal(test.pixels(slice(None)), pixels[[2, 4]])
    np.testing.assert_array_equal(test.pixels([1]), pixels[[4]])


def test_all_images_come_back_in_the_order_of_the_manifest(tmp_path):
    pixels = store(tmp_path)
    whole = packed.read(tmp_path)
    assert whole.rows["image"].tolist() == list("01234")
    np.testing.assert_array_equal(whole.pixels(slice(1, 3)), pixels[1:3])


def test_the_file_is_plain_numpy(tmp_path):
    pixels = store(tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), pixels)


def test_many_images_fit_behind_the_same_header(tmp_path):
    with packed.Writer(tmp_path / "images.npy", 1) as writer:
        for _ in range(12_345):
            writer.append(np.ones((1, 1), np.uint8))
    assert np.load(tmp_path / "images.npy").shape == (12_345, 1, 1)


def test_pixels_that_do_not_belong_to_the_manifest_are_refused(tmp_path):
    store(tmp_path, count=5, rows=4)
    with pytest.raises(ManifestError, match=r"\(5, 8, 8\), but manifest.csv 4 rows"):
        packed.read_split(tmp_path, "train")


def test_missing_pixels_say_what_to_run(tmp_path):
    store(tmp_path)
    (tmp_path / "images.npy").unlink()
    with pytest.raises(ManifestError, match="dvc repro preprocess"):
        packed.read_split(tmp_path, "train")
