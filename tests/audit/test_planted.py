"""Each detector fires on its own defect, planted into clean phantoms, and on nothing else."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from listed import relist
from phantoms import AUDITED, PREPARED, letter_on_pneumonia
from PIL import Image, ImageEnhance

from pneumo.audit import audit, patients
from pneumo.data.listing import Raw
from pneumo.errors import AuditError, SplitError
from pneumo.preprocessing.preprocess import preprocess
from pneumo.sources import kermany

COPIED, COPY = "test/PNEUMONIA/person1_bacteria_1.jpeg", "train/PNEUMONIA/person901_bacteria_1.jpeg"
SWAPPED = 9  # of each class

pytestmark = pytest.mark.slow


def names(raw: Path, folder: str) -> list[str]:
    return sorted(path.name for path in (raw / folder).iterdir())


def exact_copy(raw: Path) -> None:
    shutil.copyfile(raw / COPIED, raw / COPY)


def lossless_copy(raw: Path) -> None:
    Image.open(raw / COPIED).convert("L").save(raw / COPY, format="PNG")


def near_duplicate(raw: Path) -> None:
    image = Image.open(raw / COPIED).convert("L")
    width, height = image.size
    cropped = image.crop((round(0.02 * width), round(0.02 * height), round(0.98 * width), round(0.98 * height)))
    ImageEnhance.Brightness(cropped).enhance(1.15).save(raw / COPY, format="JPEG", quality=50)


def swapped_labels(raw: Path) -> None:
    """Each image gets a name that fits its new folder, and so a patient of its own."""
    folders = raw / "train/NORMAL", raw / "train/PNEUMONIA"
    normal, pneumonia = (names(raw, f"train/{folder.name}")[::9][:SWAPPED] for folder in folders)
    for k, name in enumerate(normal):
        (folders[0] / name).rename(folders[1] / f"person{900 + k}_virus_1.jpeg")
    for k, name in enumerate(pneumonia):
        (folders[1] / name).rename(folders[0] / f"IM-{900 + k:04}-0001.jpeg")


def broken_files(raw: Path) -> None:
    for k, name in enumerate(names(raw, "train/NORMAL")[:3]):
        path = raw / "train/NORMAL" / name
        path.write_bytes(path.read_bytes()[: 700 * k])


def other_scanner_for_test(raw: Path) -> None:
    """The test set comes with a black frame that train and val do not have."""
    for path in raw.glob("test/*/*"):
        image = Image.open(path).convert("L")
        framed = Image.new("L", image.size)
        width, height = image.size
        inner = image.resize((round(0.9 * width), round(0.9 * height)))
        framed.paste(inner, ((width - inner.width) // 2, (height - inner.height) // 2))
        framed.save(path, format="JPEG", quality=90)


CASES: dict[Callable[[Path], None], set[str]] = {
    exact_copy: {"copies across splits", "copies across patients"},
    lossless_copy: {"copies across splits", "copies across patients"},
    near_duplicate: {"near duplicates across splits", "near duplicates across patients"},
    swapped_labels: {"suspected labels"},
    broken_files: {"unreadable files"},
    letter_on_pneumonia: {"shortcut"},
    other_scanner_for_test: {"shift of normal", "shift of pneumonia"},
}


@pytest.fixture(scope="module")
def planted(clean, tmp_path_factory) -> Callable[[Callable], tuple[audit.Audit, Path]]:
    """The audit of the phantoms with a defect, and the folder that it is in; each is done once."""
    done = {}

    def audited(plant: Callable[[Path], None]) -> tuple[audit.Audit, Path]:
        if plant not in done:
            folder = tmp_path_factory.mktemp(plant.__name__)
            shutil.copytree(clean / "raw", folder / "raw")
            plant(folder / "raw")
            relist(folder / "raw")
            allow = [COPIED] if (folder / "raw" / COPY).exists() else []
            preprocess(Raw(folder / "raw"), folder / "processed", allow=allow, **PREPARED)
            done[plant] = audit.audit(Raw(folder / "raw"), folder / "processed", folder / "audit", **AUDITED), folder
        return done[plant]

    return audited


def flagged(result: audit.Audit) -> set[str]:
    return {finding["check"] for finding in result.summary["audit"]["findings"] if finding["flag"]}


def test_nothing_is_flagged_on_clean_images(audited):
    assert flagged(audited) == set()


@pytest.mark.parametrize("plant", CASES, ids=lambda plant: plant.__name__)
def test_its_own_detector_fires_and_no_other(plant, planted):
    assert flagged(planted(plant)[0]) == CASES[plant]


@pytest.mark.parametrize(("plant", "kind"), [(exact_copy, "bytes"), (lossless_copy, "pixels")])
def test_a_copy_is_listed_with_its_original(plant, kind, planted):
    listed = pd.read_csv(planted(plant)[1] / "audit/copies.csv")
    assert list(zip(listed["image"], listed["split"], listed["kind"], strict=True)) == [
        (COPIED, "test", kind),
        (COPY, "train", kind),
    ]


def test_a_near_duplicate_is_the_only_pair(planted):
    (pair,) = pd.read_csv(planted(near_duplicate)[1] / "audit/near_duplicates.csv").itertuples()
    assert (pair.image_a, pair.image_b, pair.split_a, pair.split_b) == (COPIED, COPY, "test", "train")
    assert pair.correlation > 0.97


def test_an_exact_copy_is_not_a_near_duplicate(planted):
    assert planted(exact_copy)[0].summary["audit"]["near_duplicates"]["pairs"] == 0


def test_swapped_labels_are_listed_first(planted):
    result = planted(swapped_labels)[0]
    listed = result.suspects["image"]
    swapped = listed.str.contains(r"person9\d\d_virus|/IM-09\d\d")
    assert swapped.head(3).all()
    assert swapped.mean() > 0.6
    in_test = (result.suspects["split"] == "test").sum()
    assert result.shortcut["without_suspected_labels"]["images"] == result.shortcut["n"] - in_test


def test_a_mark_is_found_where_it_is(planted):
    result, folder = planted(letter_on_pneumonia)
    strongest = pd.read_csv(folder / "audit/shortcut_coefficients.csv").iloc[0]
    assert strongest["feature"] == "corner_top_left"
    assert strongest["coefficient"] > 0
    assert result.shortcut["roc_auc"] > 0.95


def test_broken_files_are_counted(planted):
    summary = planted(broken_files)[0].summary
    assert (summary["received"], summary["rejected"], summary["images"]) == (400, 3, 397)


@pytest.mark.parametrize("plant", [exact_copy, lossless_copy], ids=lambda plant: plant.__name__)
def test_a_copy_across_splits_stops_preprocessing(plant, clean, tmp_path):
    shutil.copytree(clean / "raw", tmp_path / "raw")
    plant(tmp_path / "raw")
    relist(tmp_path / "raw")
    with pytest.raises(AuditError, match="copies in another split") as caught:
        preprocess(Raw(tmp_path / "raw"), tmp_path / "out", **PREPARED)
    for word in (f"{COPIED} (test)", f"{COPY} (train)", f"-S 'audit.exclude=[{COPY}]'", f"-S 'audit.allow=[{COPY}]'"):
        assert word in str(caught.value)
    assert not (tmp_path / "out/manifest.csv").exists()


def test_a_patient_on_both_sides_stops_preprocessing_and_is_counted(clean, table, tmp_path):
    shutil.copytree(clean / "raw", tmp_path / "raw")
    moved = "PNEUMONIA/person1_bacteria_900.jpeg"
    (tmp_path / "raw/train/PNEUMONIA" / names(clean / "raw", "train/PNEUMONIA")[0]).rename(
        tmp_path / "raw/train" / moved
    )
    relist(tmp_path / "raw")
    with pytest.raises(SplitError, match="bacteria-1"):
        preprocess(Raw(tmp_path / "raw"), tmp_path / "out", **PREPARED)
    both = table.copy()
    both.loc[both["split"].eq("train").idxmax(), "patient"] = kermany.identify(f"train/{moved}").patient
    assert patients.sensitivity(table).loc["as used", "patients_in_test_and_outside"] == 0
    assert patients.sensitivity(both).loc["as used", "patients_in_test_and_outside"] == 1
