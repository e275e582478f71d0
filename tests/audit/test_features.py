import numpy as np
import pytest
from listed import repack
from phantoms import rows

from pneumo.audit import features
from pneumo.data import packed
from pneumo.data.listing import Raw
from pneumo.errors import ManifestError


def measure(pixels, tmp_path):
    table = rows(*((f"train/NORMAL/{k}", 0, str(k), "train") for k in range(len(pixels)))).assign(width=90, height=60)
    (tmp_path / "train/NORMAL").mkdir(parents=True, exist_ok=True)
    for k in range(len(pixels)):
        (tmp_path / "train/NORMAL" / str(k)).write_bytes(b"x" * (100 + k))
    repack(tmp_path, list(table["image"]))
    return features.measure(packed.Split(table, pixels, np.arange(len(pixels))), Raw(tmp_path))


def drawn(where) -> np.ndarray:
    pixels = np.zeros((1, 50, 50), dtype=np.uint8)
    pixels[(slice(None), *where)] = 200
    return pixels


ALL, EDGE = slice(None), slice(0, 3)
LAST = slice(47, 50)


@pytest.mark.parametrize(
    ("where", "full", "partly"),
    [
        ((EDGE, ALL), "border_top corner_top_left corner_top_right", "border_left border_right"),
        ((LAST, ALL), "border_bottom corner_bottom_left corner_bottom_right", "border_left border_right"),
        ((ALL, EDGE), "border_left corner_top_left corner_bottom_left", "border_top border_bottom"),
        ((ALL, LAST), "border_right corner_top_right corner_bottom_right", "border_top border_bottom"),
        ((EDGE, EDGE), "corner_top_left", "border_top border_left"),
        ((slice(3, 47), slice(3, 47)), "", ""),
    ],
)
def test_borders_are_those_of_the_picture(where, full, partly, tmp_path):
    measured = measure(drawn(where), tmp_path).iloc[0]
    for name in (*(f"border_{side}" for side in features.SIDES), *(f"corner_{corner}" for corner in features.CORNERS)):
        expected = 200 if name in full.split() else 12 if name in partly.split() else 0
        assert measured[name] == pytest.approx(expected), name


def test_file_and_exposure(tmp_path):
    measured = measure(drawn((slice(0, 25), ALL)), tmp_path).iloc[0]
    assert measured[["width", "height", "aspect_ratio", "file_size"]].tolist() == [90, 60, 1.5, 100]
    assert measured[["mean", "contrast"]].tolist() == [100, 100]
    assert measured["border_contrast"] == pytest.approx(100)


def test_blocks_change_nothing(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (11, 32, 32), dtype=np.uint8)
    whole = measure(pixels, tmp_path)
    monkeypatch.setattr(features, "BLOCK", 4)
    assert measure(pixels, tmp_path).equals(whole)
    assert list(whole.columns) == ["image", *features.FEATURES]


def test_a_missing_file_is_named_with_what_to_run(tmp_path):
    table = rows(("test/NORMAL/a.png", 0, "1", "test"))
    images = packed.Split(table, np.zeros((1, 50, 50), dtype=np.uint8), np.arange(1))
    with pytest.raises(ManifestError, match=f"^{tmp_path}/test/NORMAL/a.png is missing.*run `dvc checkout`"):
        features.measure(images, Raw(tmp_path))
