"""Unpacking a zip or folder: what is taken and what is left out, and that `raw` is never half made."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest
from archives import COUNTS, IMAGES, MAKERS, files, make_folder, make_zip, refuse

from pneumo.errors import SourceError
from pneumo.sources import FOLDERS
from pneumo.sources.archive import unpack

KAGGLE_LAYOUT = {
    **{f"chest_xray/{name}": content for name, content in IMAGES.items()},
    **{f"chest_xray/chest_xray/{name}": content for name, content in IMAGES.items()},
    **{f"chest_xray/__MACOSX/chest_xray/{Path(name).parent}/._a.jpeg": b"fork" for name in IMAGES},
    "__MACOSX/train/NORMAL/a.jpeg": b"fork",
    "chest_xray/train/NORMAL/.DS_Store": b"finder",
    "chest_xray/train/.DS_Store": b"finder",
    "chest_xray/train/NORMAL/._a.jpeg": b"fork",
    "chest_xray/train/NORMAL/.ipynb_checkpoints/a.jpeg": b"hidden folder",
}
LAYOUTS = {
    "bare": IMAGES,
    "kaggle": KAGGLE_LAYOUT,
    "deep": {f"a/b c/d.e/{name}": content for name, content in IMAGES.items()},
    "other case": {name.replace("NORMAL", "Normal").replace("train", "Train"): c for name, c in IMAGES.items()},
    "readme beside": {**IMAGES, "README.txt": b"x", "train/labels.csv": b"x", "train/COVID/c.jpeg": b"x"},
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_raw(tmp_path, raw, kind, layout):
    source = MAKERS[kind](tmp_path / "source", LAYOUTS[layout])
    assert unpack(source, raw) == COUNTS
    assert files(raw) == IMAGES
    assert [entry.name for entry in raw.parent.iterdir()] == ["raw"]


@pytest.mark.parametrize("kind", MAKERS)
def test_files_are_taken_whatever_their_suffix_or_content(tmp_path, raw, kind):
    unusual = {"test/PNEUMONIA/broken.jpeg": b"", "test/PNEUMONIA/notes.txt": b"x", "val/NORMAL/no suffix é": b"y"}
    counts = unpack(MAKERS[kind](tmp_path / "source", {**IMAGES, **unusual}), raw)
    assert files(raw) == {**IMAGES, **unusual}
    assert counts == {**COUNTS, "test/PNEUMONIA": 4, "val/NORMAL": 3}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zips_of_every_compression_unpack(tmp_path, raw, compression):
    unpack(make_zip(tmp_path / "x.zip", IMAGES, compression), raw)
    assert files(raw) == IMAGES


def test_new_raw_is_as_readable_as_other_folders(tmp_path, raw):
    unpack(make_zip(tmp_path / "x.zip", IMAGES), raw)
    beside = raw.parent / "beside"
    beside.mkdir()
    assert raw.stat().st_mode == (raw / "train").stat().st_mode == beside.stat().st_mode


def test_folder_source_is_copied_never_linked(tmp_path, raw):
    source = make_folder(tmp_path / "source", IMAGES)
    unpack(source, raw)
    assert files(source) == IMAGES
    assert all((source / name).stat().st_nlink == 1 for name in IMAGES)
    assert not any(path.is_symlink() for path in raw.rglob("*"))


def test_sha256_is_checked_before_anything_is_written(tmp_path, raw):
    path = make_zip(tmp_path / "x.zip", IMAGES)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    refuse(path, raw, "0" * 64, digest, sha256="0" * 64)
    assert unpack(path, raw, sha256=digest.upper()) == COUNTS


def test_sha256_of_a_folder_is_an_error(tmp_path, raw):
    refuse(make_folder(tmp_path / "source", IMAGES), raw, "sha256 needs a zip", sha256="0" * 64)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_second_tree_that_is_no_copy_is_refused_by_name(tmp_path, raw, kind):
    """As in version 3 of the publishers' archive, whose retinas would be healthy chests."""
    chest = {f"chest_xray/{name}": content for name, content in IMAGES.items()}
    source = MAKERS[kind](tmp_path / "source", {**chest, "OCT/train/NORMAL/NORMAL-1-1.jpeg": b"retina"})
    only = "train/NORMAL/NORMAL-1-1.jpeg is in 'OCT' alone"
    refuse(source, raw, "'OCT' and 'chest_xray' both hold images", only, "data.path")


@pytest.mark.parametrize("kind", MAKERS)
def test_files_in_no_class_folder_are_said_and_listed(tmp_path, raw, kind, capsys):
    others = {f"train/COVID19/{k}.jpeg": b"x" for k in range(26)}
    assert unpack(MAKERS[kind](tmp_path / "source", {**IMAGES, **others}), raw) == COUNTS
    assert "left out: 26 files in no class folder, such as 'train/COVID19/0.jpeg'" in capsys.readouterr().out
    rows = (raw / "left_out.csv").read_text().splitlines()
    assert rows == ["name,reason", *(f"{name},in no class folder" for name in sorted(others))]


@pytest.mark.parametrize("kind", MAKERS)
def test_val_may_be_missing(tmp_path, raw, kind):
    source = MAKERS[kind](tmp_path / "source", {n: c for n, c in IMAGES.items() if not n.startswith("val/")})
    assert unpack(source, raw) == COUNTS | {"val/NORMAL": 0, "val/PNEUMONIA": 0}
    assert {name for name in files(raw) if name.startswith("val")} == set()


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if not folder.startswith("val/")])
def test_missing_class_folder_is_named(tmp_path, raw, kind, folder):
    source = MAKERS[kind](tmp_path / "source", {n: c for n, c in IMAGES.items() if not n.startswith(folder)})
    refuse(source, raw, f"found none in {folder};")


@pytest.mark.parametrize("kind", MAKERS)
def test_source_without_the_layout_is_refused(tmp_path, raw, kind):
    refuse(
        MAKERS[kind](tmp_path / "source", {"holiday.jpeg": b"x"}),
        raw,
        *(set(FOLDERS) - {"val/NORMAL", "val/PNEUMONIA"}),
    )


@pytest.mark.parametrize("kind", MAKERS)
def test_a_zip_inside_is_named(tmp_path, raw, kind):
    source = MAKERS[kind](tmp_path / "source", {"README.txt": b"x", "inner/chest_xray.zip": b"PK"})
    refuse(source, raw, "found none in", "unpack 'inner/chest_xray.zip', which is in it, and set data.path to that")


def test_a_git_lfs_pointer_is_named(tmp_path, raw):
    path = tmp_path / "x.zip"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    refuse(path, raw, "found a Git LFS pointer in place of the zip; run `git lfs pull`")


def test_counts_are_compared_with_those_expected(tmp_path, raw):
    path = make_zip(tmp_path / "x.zip", IMAGES)
    refuse(path, raw, "train/NORMAL has 2 files, expected 3", "Get the whole", expected={**COUNTS, "train/NORMAL": 3})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("train/NORMAL/Thumbs.db", b"x")
    refuse(path, raw, "train/NORMAL has 3 files, expected 2", "such as train/NORMAL/Thumbs.db", expected=COUNTS)
    path = make_zip(tmp_path / "y.zip", IMAGES)
    refuse(path, raw, "training has 0 files, expected 2", expected={"training": 2})
    assert unpack(path, raw, expected=COUNTS) == COUNTS
    assert unpack(path, raw, expected={"val/NORMAL": 2}) == COUNTS


def test_missing_path_says_what_to_correct(tmp_path, raw):
    refuse(tmp_path / "nothing.zip", raw, "nothing.zip", "found nothing", "data.path")


def test_source_that_replacing_raw_would_delete_is_refused(tmp_path, raw):
    make_folder(raw, IMAGES)
    inside = make_zip(raw / "x.zip", IMAGES)
    for source in (raw, raw.parent, inside):
        refuse(source, raw, "overlaps")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("locked", ["train/NORMAL", "train/NORMAL/a.jpeg"])
def test_unreadable_source_is_refused(tmp_path, raw, locked):
    source = make_folder(tmp_path / "source", IMAGES)
    (source / locked).chmod(0)
    try:
        refuse(source, raw, locked, "permissions")
    finally:
        (source / locked).chmod(0o755)


def test_raw_that_cannot_be_made_is_an_error_that_says_where(tmp_path):
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(SourceError, match=r"Not a directory.*check its permissions.*data/raw"):
        unpack(make_zip(tmp_path / "x.zip", IMAGES), tmp_path / "data" / "raw")


def test_existing_raw_is_replaced_as_a_whole(tmp_path, raw):
    make_folder(raw, {"train/NORMAL/old.jpeg": b"old", "old.txt": b"old"})
    unpack(make_zip(tmp_path / "x.zip", IMAGES), raw)
    assert files(raw) == IMAGES
    assert [entry.name for entry in raw.parent.iterdir()] == ["raw"]


def test_what_a_killed_run_left_is_cleared(tmp_path, raw):
    make_folder(raw.parent / ".raw.part", {"new/train/NORMAL/a.jpeg": b"half", "old/x": b"x"})
    unpack(make_zip(tmp_path / "x.zip", IMAGES), raw)
    assert files(raw) == IMAGES
    assert [entry.name for entry in raw.parent.iterdir()] == ["raw"]


OLD = {"train/NORMAL/old.jpeg": b"old"}


@pytest.mark.parametrize(
    ("owner", "method", "at", "old"),
    [
        (zipfile.ZipExtFile, "read", 5, {}),
        (zipfile.ZipExtFile, "read", 5, OLD),
        (Path, "rename", 1, {}),
        (Path, "rename", 1, OLD),  # before the old raw is moved away
        (Path, "rename", 2, OLD),  # between that and the new one taking its place
    ],
)
def test_interrupt_leaves_the_old_raw_or_none(tmp_path, raw, monkeypatch, owner, method, at, old):
    make_folder(raw, old)
    path = make_zip(tmp_path / "x.zip", IMAGES)
    real, calls = getattr(owner, method), []

    def interrupted(self, *args):
        calls.append(self)
        if len(calls) == at:
            raise KeyboardInterrupt
        return real(self, *args)

    monkeypatch.setattr(owner, method, interrupted)
    with pytest.raises(KeyboardInterrupt):
        unpack(path, raw)
    assert files(raw) == old
    assert {entry.name for entry in raw.parent.iterdir()} == ({"raw"} if old else set())
