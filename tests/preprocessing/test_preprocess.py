import struct
import zlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from listed import relist, split_params
from PIL import Image

from pneumo.data import listing, manifest, packed
from pneumo.data.listing import Raw
from pneumo.errors import AuditError, ManifestError, SplitError, TooManyRejected
from pneumo.preprocessing import images
from pneumo.preprocessing.preprocess import preprocess as preprocessed

SETTINGS = {"image_size": 16, "max_rejected": 0.5, "split": split_params()}


def preprocess(raw, out, **settings):
    relist(raw)
    return preprocessed(Raw(raw), out, **settings)


def image(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    for k in range(12):
        image(folder / f"train/NORMAL/IM-{k:04}-0001.jpeg", k)
        image(folder / f"train/PNEUMONIA/person{k}_virus_1.png", 100 + k)
    for k in range(3):
        image(folder / f"test/NORMAL/IM-{50 + k:04}-0001.jpeg", 200 + k)
        image(folder / f"test/PNEUMONIA/person{50 + k}_bacteria_1.jpeg", 300 + k)
    return folder


def claiming(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [b"\0\0\0\x0d" + header, b"\0\0\0\0IDAT", b"\0\0\0\0IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk + struct.pack(">I", zlib.crc32(chunk[4:])) for chunk in chunks)


def test_every_received_file_is_in_the_manifest_or_in_rejected(raw, tmp_path):
    bad = {
        "train/NORMAL/IM-0900-0001.jpeg": (raw / "train/NORMAL/IM-0000-0001.jpeg").read_bytes()[:300],
        "train/NORMAL/IM-0901-0001.jpeg": b"not an image at all",
        "train/NORMAL/IM-0902-0001.jpeg": b"",
        "train/PNEUMONIA/person900_virus_1.png": claiming(30_000, 30_000),
        "train/PNEUMONIA/person901_virus_1.png": claiming(1, 1),
    }
    for name, data in bad.items():
        (raw / name).write_bytes(data)
    summary = preprocess(raw, tmp_path / "out", **SETTINGS)
    used, rejected = manifest.read_manifest(tmp_path / "out/manifest.csv"), pd.read_csv(tmp_path / "out/rejected.csv")
    assert sorted([*used["image"], *rejected["image"]]) == relist(raw)
    assert list(rejected["image"]) == sorted(bad)
    reasons = dict(zip(rejected["image"], rejected["reason"], strict=True))
    for (name, _), reason in zip(bad.items(), ["Truncated", "text", "0 bytes", "30000 x 30000", "1 x 1"], strict=True):
        assert reason in reasons[name]
    assert (summary["received"], summary["rejected"], summary["images"]) == (35, 5, 30)


def test_pixels_belong_to_their_rows(raw, tmp_path):
    (raw / "train/NORMAL/IM-0003-0001.jpeg").write_bytes(b"broken")
    preprocess(raw, tmp_path / "out", **SETTINGS)
    test = packed.read_split(tmp_path / "out", "test")
    for name, pixels in zip(test.rows["image"], test.pixels(slice(None)), strict=True):
        np.testing.assert_array_equal(images.read_image(raw / name, 16).pixels, pixels)


def test_too_many_unreadable_files_stop_with_the_first_five(raw, tmp_path):
    for k in range(8):
        (raw / f"train/NORMAL/IM-{k:04}-0001.jpeg").write_bytes(b"broken")
    with pytest.raises(TooManyRejected) as caught:
        preprocess(raw, tmp_path / "out", **(SETTINGS | {"max_rejected": 0.2}))
    assert "8 of 30 images cannot be read" in str(caught.value)
    assert str(caught.value).count("train/NORMAL/IM-000") == 5


def test_names_that_no_rule_can_parse_are_counted(raw, tmp_path):
    image(raw / "train/NORMAL/scan one.png", 900)
    image(raw / "train/PNEUMONIA/scan one.png", 901)
    summary = preprocess(raw, tmp_path / "out", **SETTINGS)
    assert summary["unknown_patients"] == 2
    assert sum(counts["unknown_subtype"] for counts in summary["splits"].values()) == 1


def test_names_without_patients_stop_the_run_unless_a_parameter_allows_them(raw, tmp_path):
    """Images of one child would be in train and in val."""
    for path in list((raw / "train").rglob("*_virus_*")):
        path.rename(path.with_name(path.name.replace("person", "scan")))
    with pytest.raises(SplitError) as caught:
        preprocess(raw, tmp_path / "out", **(SETTINGS | {"split": split_params(max_unknown_patients=0.3)}))
    assert "12 of 30 images, such as train/PNEUMONIA/scan0_virus_1.png, give no patient" in str(caught.value)
    assert "split.max_unknown_patients=1" in str(caught.value)
    assert (
        preprocess(raw, tmp_path / "out", **(SETTINGS | {"split": split_params(max_unknown_patients=0.4)}))[
            "unknown_patients"
        ]
        == 12
    )


def test_the_publishers_names_keep_a_child_in_one_split(raw, tmp_path):
    """CLASS-patient-image; with one patient an image, children were in train and in val."""
    for k in range(12):
        (raw / f"train/PNEUMONIA/person{k}_virus_1.png").rename(raw / f"train/PNEUMONIA/VIRUS-{k // 3}-{k:04}.png")
    summary = preprocess(raw, tmp_path / "out", **(SETTINGS | {"split": split_params(max_unknown_patients=0.0)}))
    table = manifest.read_manifest(tmp_path / "out/manifest.csv")
    renamed = table[table["image"].str.contains("VIRUS-")]
    assert summary["unknown_patients"] == 0
    assert sorted(renamed["patient"].unique()) == [f"VIRUS-{child}" for child in range(4)]
    assert renamed.groupby("patient")["split"].nunique().max() == 1
    assert set(renamed["subtype"]) == {"viral"}


def test_train_and_val_folders_are_pooled_and_test_stays(raw, tmp_path):
    (raw / "val/NORMAL").mkdir(parents=True)
    (raw / "train/NORMAL/IM-0001-0001.jpeg").rename(raw / "val/NORMAL/IM-0001-0001.jpeg")
    preprocess(raw, tmp_path / "moved", **SETTINGS)
    table = manifest.read_manifest(tmp_path / "moved/manifest.csv")
    assert set(table.loc[table["source_split"] != "test", "split"]) == {"train", "val"}
    assert set(table.loc[table["source_split"] == "test", "split"]) == {"test"}


@pytest.fixture
def copied(raw):
    """A training image that is also a test image, under the name of another patient."""
    (raw / "test/NORMAL/IM-0800-0001.jpeg").write_bytes((raw / "train/NORMAL/IM-0001-0001.jpeg").read_bytes())
    return "train/NORMAL/IM-0001-0001.jpeg", "test/NORMAL/IM-0800-0001.jpeg"


def test_one_image_in_two_splits_is_refused_and_leaves_no_manifest(raw, copied, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/manifest.csv").write_text("of an earlier run")
    with pytest.raises(AuditError) as caught:
        preprocess(raw, tmp_path / "out", **SETTINGS)
    assert all(name in str(caught.value) for name in copied)
    assert not (tmp_path / "out/manifest.csv").exists()


def test_one_image_in_two_splits_can_be_allowed(raw, copied, tmp_path):
    preprocess(raw, tmp_path / "out", allow=copied[1:], **SETTINGS)
    assert set(copied) <= set(manifest.read_manifest(tmp_path / "out/manifest.csv")["image"])


def test_an_excluded_image_is_left_out_and_listed(raw, copied, tmp_path):
    summary = preprocess(raw, tmp_path / "out", exclude=copied[1:], **SETTINGS)
    rejected = pd.read_csv(tmp_path / "out/rejected.csv")
    assert rejected.values.tolist() == [[copied[1], "excluded by audit.exclude"]]
    assert copied[1] not in set(manifest.read_manifest(tmp_path / "out/manifest.csv")["image"])
    assert (summary["received"], summary["excluded"], summary["rejected"], summary["images"]) == (31, 1, 0, 30)


@pytest.mark.parametrize("key", ["allow", "exclude"])
def test_an_exception_for_an_unknown_image_is_refused(raw, key, tmp_path):
    with pytest.raises(AuditError, match=f"audit.{key} names 'train/NORMAL/IM-9.jpeg'"):
        preprocess(raw, tmp_path / "out", **SETTINGS, **{key: ["train/NORMAL/IM-9.jpeg"]})
    assert not (tmp_path / "out").exists()


def test_leaving_out_one_side_mends_a_leak(raw, tmp_path):
    image(raw / "test/PNEUMONIA/person5_virus_9.jpeg", 400)
    preprocess(raw, tmp_path / "out", exclude=["test/PNEUMONIA/person5_virus_9.jpeg"], **SETTINGS)


def test_a_subset_says_that_it_is_one_and_accounts_for_the_rest(raw, tmp_path):
    summary = preprocess(raw, tmp_path / "out", subset=24, **(SETTINGS | {"split": split_params(val_fraction=0.5)}))
    assert summary["subset"] == {"asked": 24, "images": 24, "of": 30}
    assert summary["rejected"] == 0
    rejected = pd.read_csv(tmp_path / "out/rejected.csv")
    assert set(rejected["reason"]) == {"not in the sample of data.subset=24"}
    assert len(rejected) == 6


def test_threads_do_not_change_a_byte(raw, tmp_path):
    for threads in (1, 4):
        preprocess(raw, tmp_path / str(threads), **(SETTINGS | {"threads": threads}))
    for name in ("images.npy", "manifest.csv", "rejected.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "4" / name).read_bytes()


def test_a_leak_is_refused_before_any_image_is_decoded(raw, tmp_path):
    image(raw / "test/PNEUMONIA/person5_virus_9.jpeg")
    with pytest.raises(SplitError, match="virus-5"):
        preprocess(raw, tmp_path / "out", **SETTINGS)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"images\.csv is missing: run `dvc repro download`"):
        preprocessed(Raw(tmp_path), tmp_path / "out", **SETTINGS)
    with pytest.raises(ManifestError, match="lists no images"):
        preprocess(tmp_path, tmp_path / "out", **SETTINGS)


def test_what_the_source_rejects_is_in_rejected_with_its_reason(raw, tmp_path):
    relist(raw)
    first, *rest = listing.read(raw)
    listing.write([replace(first, rejected="listed twice with different labels"), *rest], (), raw)
    summary = preprocessed(Raw(raw), tmp_path / "out", **SETTINGS)
    rejected = pd.read_csv(tmp_path / "out/rejected.csv")
    assert rejected.values.tolist() == [[first.image, "listed twice with different labels"]]
    assert (summary["rejected"], summary["images"]) == (1, 29)


def test_what_else_a_source_knows_is_in_the_manifest_as_text(raw, tmp_path):
    relist(raw)
    images = [replace(image, details={"view": "PA", "age": "007"}) for image in listing.read(raw)]
    listing.write(images, (), raw)
    preprocessed(Raw(raw), tmp_path / "out", **SETTINGS)
    table = manifest.read_manifest(tmp_path / "out/manifest.csv")
    assert list(table.columns) == [*manifest.COLUMNS, "view", "age"]
    assert set(table["age"]) == {"007"}


def test_films_of_other_views_are_set_aside_by_what_the_table_says(raw, tmp_path):
    """As CheXpert says it: Frontal AP, Lateral, or nothing."""
    relist(raw)
    said = ["Frontal AP", "Frontal PA", "", "Lateral", "Frontal"]
    images = [replace(image, details={"view": said[n % 5]}) for n, image in enumerate(listing.read(raw))]
    listing.write(images, (), raw)
    settings = SETTINGS | {"max_rejected": 0.0, "split": split_params(val_fraction=0.5)}
    summary = preprocessed(Raw(raw), tmp_path / "out", views=["PA", "AP"], **settings)
    assert summary["views"] == {"AP": 6, "PA": 6, "unknown": 6}
    assert summary["set_aside"] == {
        "images": 12,
        "reasons": {"view FRONTAL; preprocess.views takes PA, AP": 6, "view LATERAL; preprocess.views takes PA, AP": 6},
    }
    assert (summary["received"], summary["rejected"]) == (30, 0)
    assert preprocessed(Raw(raw), tmp_path / "out", views=None, **settings)["images"] == 30


def test_the_fit_reaches_the_pixels(raw, tmp_path):
    """Films of 50 x 40 pixels in a square of 16: two rows or so remain above and below."""
    preprocess(raw, tmp_path / "out", fit="pad", **SETTINGS)
    pixels = np.load(tmp_path / "out/images.npy")
    assert not pixels[:, 0].any()
    assert not pixels[:, -1].any()
    assert pixels[:, 2].any(axis=1).all()


def test_without_an_official_test_part_one_is_drawn_once(raw, tmp_path):
    relist(raw)
    listing.write([replace(image, source_split="") for image in listing.read(raw)], (), raw)
    tests = []
    for seed in (0, 3):
        settings = SETTINGS | {"split": split_params(seed=seed, val_fraction=0.4)}
        preprocessed(Raw(raw), tmp_path / "out", **settings)
        table = manifest.read_manifest(tmp_path / "out/manifest.csv")
        tests.append(set(table.loc[table["split"] == "test", "image"]))
    assert tests[0] == tests[1]
    assert 4 <= len(tests[0]) <= 14
