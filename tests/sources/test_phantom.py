import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from pneumo.errors import SourceError
from pneumo.sources.phantom import draw

Counts = dict[str, dict[str, int]]
FEW: Counts = {
    "train": {"normal": 9, "bacterial": 8, "viral": 7},
    "val": {"normal": 2, "bacterial": 1, "viral": 1},
    "test": {"normal": 6, "bacterial": 5, "viral": 4},
}
DEFAULT: Counts = {
    "train": {"normal": 110, "bacterial": 100, "viral": 80},
    "test": {"normal": 40, "bacterial": 35, "viral": 25},
}
NAME = re.compile(
    r"NORMAL/(?P<normal>(NORMAL2-)?IM-\d{4})-0001(-\d{4})?\.jpeg"
    r"|PNEUMONIA/person(?P<number>\d+)_(?P<cause>bacteria|virus)_\d+\.jpeg"
)

pytestmark = pytest.mark.slow


def contents(raw: Path) -> dict[str, bytes]:
    return {path.relative_to(raw).as_posix(): path.read_bytes() for path in sorted(raw.rglob("*.jpeg"))}


def patient(name: str) -> str:
    match = NAME.fullmatch(name.split("/", 1)[1])
    assert match, name
    return match["normal"] or f"{match['cause']}-{match['number']}"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    raw = tmp_path_factory.mktemp("small") / "raw"
    draw(raw, seed=3, images=FEW, size=64)
    return contents(raw)


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("default") / "raw"
    draw(raw, seed=0, images=DEFAULT, size=112)
    return raw


def test_same_seed_same_bytes(small: dict[str, bytes], tmp_path: Path) -> None:
    draw(tmp_path / "raw", seed=3, images=FEW, size=64)
    assert contents(tmp_path / "raw") == small


def test_processes_do_not_change_a_byte(small: dict[str, bytes], tmp_path: Path) -> None:
    draw(tmp_path / "raw", seed=3, images=FEW, size=64, processes=2)
    assert contents(tmp_path / "raw") == small


def test_other_seed_other_pictures(small: dict[str, bytes], tmp_path: Path) -> None:
    draw(tmp_path / "raw", seed=4, images=FEW, size=64)
    assert not set(contents(tmp_path / "raw").values()) & set(small.values())


def test_no_picture_comes_twice(small: dict[str, bytes]) -> None:
    assert len(set(small.values())) == len(small) == 43


def test_returns_the_counts_of_what_lies_there(tmp_path: Path) -> None:
    counts = draw(tmp_path / "data" / "raw", seed=3, images=FEW, size=64)
    assert counts == {
        "train/NORMAL": 9,
        "train/PNEUMONIA": 15,
        "val/NORMAL": 2,
        "val/PNEUMONIA": 2,
        "test/NORMAL": 6,
        "test/PNEUMONIA": 9,
    }
    assert Counter(name.rsplit("/", 1)[0] for name in contents(tmp_path / "data" / "raw")) == counts


def test_pictures_are_grey_jpegs_about_as_high_as_asked(default: Path) -> None:
    for path in sorted((default / "test").glob("*/*")):
        with Image.open(path) as image:
            assert (image.format, image.mode) == ("JPEG", "L")
            assert 100 <= image.height <= 129
            assert 0.99 <= image.width / image.height <= 1.5


def test_nobody_is_in_two_splits(default: Path) -> None:
    splits: dict[str, set[str]] = {}
    for name in contents(default):
        splits.setdefault(patient(name), set()).add(name.split("/")[0])
    assert all(len(of_patient) == 1 for of_patient in splits.values())


def test_test_numbers_are_a_block(default: Path) -> None:
    numbers: dict[str, set[int]] = {}
    for name in contents(default):
        if name.startswith("test/"):
            kind, number = patient(name).rsplit("-", 1)
            numbers.setdefault(kind, set()).add(int(number))
    assert set(numbers) == {"IM", "NORMAL2-IM", "bacteria", "virus"}
    assert all(len(seen) == max(seen) - min(seen) + 1 for seen in numbers.values())


def test_some_patients_have_several_images_that_differ(default: Path) -> None:
    images = Counter(patient(name) for name in contents(default))
    for kind in ("IM-", "NORMAL2-IM-", "bacteria-", "virus-"):
        of_kind = [count for name, count in images.items() if name.startswith(kind)]
        assert min(of_kind) == 1
        assert max(of_kind) > 1


def mean_brightness(path: Path) -> float:
    with Image.open(path) as image:
        return float(np.asarray(image).mean())


def border_brightness(path: Path) -> float:
    with Image.open(path) as image:
        pixels = np.asarray(image)
    return float(np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).mean())


def contrast(path: Path) -> float:
    with Image.open(path) as image:
        return float(np.asarray(image).std())


def aspect(path: Path) -> float:
    with Image.open(path) as image:
        return image.width / image.height


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    "trait", [mean_brightness, border_brightness, contrast, aspect, lambda path: path.stat().st_size]
)
def test_no_trait_beside_the_lungs_gives_the_label_away(
    default: Path, split: str, trait: Callable[[Path], float]
) -> None:
    paths = sorted((default / split).glob("*/*"))
    auc = roc_auc_score([path.parent.name == "PNEUMONIA" for path in paths], [trait(path) for path in paths])
    assert 0.35 < auc < 0.65


@pytest.mark.parametrize("finding", ["normal", "bacterial", "viral"])
def test_more_images_of_one_finding_leave_the_others_alone(
    small: dict[str, bytes], tmp_path: Path, finding: str
) -> None:
    more = {split: counts | {finding: counts[finding] + 3} for split, counts in FEW.items()}
    draw(tmp_path / "raw", seed=3, images=more, size=64)
    mark = {"normal": "IM-", "bacterial": "_bacteria_", "viral": "_virus_"}[finding]
    now = contents(tmp_path / "raw")
    assert {k: v for k, v in now.items() if mark not in k} == {k: v for k, v in small.items() if mark not in k}


def test_more_training_images_leave_the_test_pictures_alone(small: dict[str, bytes], tmp_path: Path) -> None:
    draw(tmp_path / "raw", seed=3, images=FEW | {"train": {"normal": 20, "viral": 20}}, size=64)
    now = contents(tmp_path / "raw")
    assert {k: v for k, v in now.items() if k.startswith("test/")} == {
        k: v for k, v in small.items() if k.startswith("test/")
    }


def test_an_old_raw_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "raw" / "train").mkdir(parents=True)
    (tmp_path / "raw" / "train" / "old.jpeg").touch()
    draw(tmp_path / "raw", seed=3, images={"test": {"normal": 1}}, size=64)
    assert [patient(name) for name in contents(tmp_path / "raw")] in (["IM-0001"], ["NORMAL2-IM-0001"])
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


@pytest.mark.parametrize(
    ("images", "size", "message"),
    [
        ({"train": {"normal": -1}}, 64, r"images\.train\.normal is -1; expected a whole number"),
        ({"train": {"normal": 1.5}}, 64, r"images\.train\.normal is 1\.5; expected a whole number"),
        ({"train": {"fungal": 1}}, 64, r"images\.train has 'fungal'; expected one of normal, bacterial, viral"),
        ({"holdout": {"normal": 1}}, 64, r"split 'holdout'; expected one of train, val, test"),
        ({"train": {"normal": 1}}, 8, r"size is 8; expected at least"),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_written(
    tmp_path: Path, images: Counts, size: int, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        draw(tmp_path / "raw", seed=0, images=images, size=size)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("processes", [1, 2])
def test_a_failure_leaves_the_old_raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "old.jpeg").touch()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        draw(tmp_path / "raw", seed=0, images=FEW, size=64, processes=processes)
    assert list(contents(tmp_path / "raw")) == ["old.jpeg"]
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]
