"""Images of another hospital that are among ours, too."""

import numpy as np
import pytest
from listed import draw, relist, split_params
from PIL import Image

from pneumo.data.listing import Raw
from pneumo.errors import AuditError
from pneumo.external import overlap
from pneumo.preprocessing.preprocess import preprocess

SETTINGS = {"image_size": 96, "max_rejected": 0.1, "split": split_params(max_unknown_patients=1.0)}
IMAGES = {part: {"normal": 6, "viral": 6} for part in ("train", "test")}


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ours")
    draw(folder / "raw", seed=0, images=IMAGES | {"train": {"normal": 12, "viral": 12}}, size=128)
    preprocess(Raw(folder / "raw"), folder / "processed", **SETTINGS)
    return folder


@pytest.fixture
def theirs(tmp_path):
    draw(tmp_path / "raw", seed=7, images=IMAGES, size=128)
    return tmp_path


def packed(folder):
    relist(folder / "raw")
    preprocess(Raw(folder / "raw"), folder / "processed", elsewhere=True, **SETTINGS)
    return folder / "processed"


def test_other_images_pass_and_all_are_test_images(ours, theirs):
    overlap.refuse("there", packed(theirs), ours / "processed")
    assert len(overlap.shared(theirs / "processed", ours / "processed")) == 0
    assert (theirs / "processed/manifest.csv").read_text().count(",test,test,") == 24


def _same_bytes(path, image):
    path.write_bytes(image)


def _same_pixels(path, image):
    path.write_bytes(image[:2] + b"\xff\xfe\x00\x05abc" + image[2:])  # with a comment


def _brighter(path, image):
    path.with_suffix(".in").write_bytes(image)
    pixels = np.asarray(Image.open(path.with_suffix(".in")).convert("L"), dtype=float)
    path.with_suffix(".in").unlink()
    Image.fromarray(np.clip(pixels * 1.1, 0, 255).astype(np.uint8)).save(path, quality=70)


@pytest.mark.parametrize(
    ("plant", "kind"),
    [(_same_bytes, "same bytes"), (_same_pixels, "same pixels"), (_brighter, "one exposure saved twice")],
)
def test_a_shared_image_is_refused_by_name(ours, theirs, plant, kind):
    (original,) = sorted((ours / "raw/train/NORMAL").iterdir())[:1]
    plant(theirs / "raw/train/NORMAL/IM-9000-0001.jpeg", original.read_bytes())
    with pytest.raises(AuditError, match=r"external\.there shares 1 images") as refused:
        overlap.refuse("there", packed(theirs), ours / "processed")
    assert f"train/NORMAL/IM-9000-0001.jpeg = train/NORMAL/{original.name} (" in str(refused.value)
    assert f"; {kind})" in str(refused.value)
