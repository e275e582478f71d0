"""Unpacking a zip or folder: what is taken, what is dropped, what is refused, and that `raw` is never half made."""

import hashlib
import os
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pneumo.errors import SourceError
from pneumo.params import Source
from pneumo.sources import FOLDERS, archive
from pneumo.sources.archive import unpack

IMAGES = {f"{folder}/{name}": f"{folder} {name}".encode() * 50 for folder in FOLDERS for name in ("a.jpeg", "b.jpeg")}
COUNTS = dict.fromkeys(FOLDERS, 2)

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


def make_zip(path: Path, members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def make_folder(path: Path, members: Mapping[str, bytes]) -> Path:
    for name, content in members.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path


MAKERS = {"zip": make_zip, "folder": make_folder}


def files(folder: Path) -> dict[str, bytes]:
    """Image files: without the tables beside them."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*/*") if file.is_file()}


def source(path: str) -> Source:
    rest = dict.fromkeys(("sha256", "dataset", "version", "expected", "phantom"))
    return Source(source="archive", path=path, **rest)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "data" / "raw"


def refuse(path: Path, raw: Path, *words: str, **options) -> None:
    """Unpacking fails with a message that has all the words, and leaves nothing beside or in place of raw."""
    before = files(raw)
    with pytest.raises(SourceError) as caught:
        unpack(path, raw, **options)
    for word in words:
        assert word in str(caught.value)
    assert files(raw) == before
    assert not raw.parent.exists() or {entry.name for entry in raw.parent.iterdir()} <= {raw.name}


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


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"copy/train/NORMAL/a.jpeg": b"other"}, ["'copy/train/NORMAL/a.jpeg'", "'train/NORMAL/a.jpeg'", "different"]),
        ({"copy/train/NORMAL/a.jpeg": IMAGES["train/NORMAL/a.jpeg"][::-1]}, ["different content"]),
        ({"copy/train/NORMAL/A.jpeg": b"other"}, ["'copy/train/NORMAL/A.jpeg'", "'train/NORMAL/a.jpeg'", "case"]),
        ({"train/NORMAL/A.JPEG": IMAGES["train/NORMAL/a.jpeg"]}, ["'train/NORMAL/A.JPEG'", "case"]),
        ({"val/NORMAL/\u00e9.jpeg": b"1", "val/NORMAL/e\u0301.jpeg": b"1"}, ["accents"]),
        ({"train/NORMAL/more/c.jpeg": b"x"}, ["'train/NORMAL/more/c.jpeg'", "below a class folder"]),
        ({"train/NORMAL/back\\slash.jpeg": b"x"}, ["unsafe name", "unpack it and set data.path to the folder"]),
        ({"train/NORMAL/C:evil.jpeg": b"x"}, ["unsafe name"]),
        ({"train/NORMAL/new\nline.jpeg": b"x"}, ["unsafe name"]),
    ],
)
def test_files_that_would_collide_or_confuse_are_refused_by_name(tmp_path, raw, kind, extra, words):
    refuse(MAKERS[kind](tmp_path / "source", {**IMAGES, **extra}), raw, *words)


@pytest.mark.parametrize(
    "name", ["../x.jpeg", "a/../../x.jpeg", "/tmp/x.jpeg", "C:/x.jpeg", "..\\x.jpeg", "\\\\host\\x"]
)
@pytest.mark.parametrize("where", ["", "train/NORMAL/"])
def test_zip_members_that_point_outside_are_refused_by_name(tmp_path, raw, name, where):
    name = name if name.startswith("/") else where + name
    before = files(tmp_path)
    path = make_zip(tmp_path / "x.zip", {**IMAGES, name: b"evil"})
    refuse(path, raw, repr(name), "unsafe name")
    path.unlink()
    assert files(tmp_path) == before


def test_zip_name_with_a_nul_is_refused(tmp_path, raw):
    path = make_zip(tmp_path / "x.zip", {**IMAGES, "train/NORMAL/c.jpeg_evil": b"x"})
    path.write_bytes(path.read_bytes().replace(b"c.jpeg_evil", b"c.jpeg\0evil"))
    refuse(path, raw, "unsafe name")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
@pytest.mark.parametrize("name", ["train/NORMAL/link.jpeg", "link"])
def test_links_and_devices_in_a_zip_are_refused_by_name(tmp_path, raw, kind, name):
    path = make_zip(tmp_path / "x.zip", IMAGES)
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o644) << 16
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(info, "/etc/hostname")
    refuse(path, raw, repr(name), "link or a device")


@pytest.mark.parametrize("link", ["train/NORMAL/link.jpeg", "train/link", "link"])
@pytest.mark.parametrize("target", ["train/NORMAL/a.jpeg", "train", "../outside", "nowhere"])
def test_links_in_a_folder_are_refused_by_name(tmp_path, raw, link, target):
    source = make_folder(tmp_path / "source", IMAGES)
    (tmp_path / "outside").mkdir()
    (source / link).symlink_to(source / target)
    refuse(source, raw, str(source / link), "symbolic link")


def test_pipe_in_a_folder_is_refused_rather_than_waited_for(tmp_path, raw):
    source = make_folder(tmp_path / "source", IMAGES)
    os.mkfifo(source / "train/NORMAL/pipe.jpeg")
    refuse(source, raw, "pipe.jpeg", "neither a file nor a folder")


def test_same_member_twice_in_a_zip_counts_once_if_identical_and_is_refused_if_not(tmp_path, raw):
    path = make_zip(tmp_path / "x.zip", IMAGES)
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("train/NORMAL/a.jpeg", IMAGES["train/NORMAL/a.jpeg"])
    assert unpack(path, raw) == COUNTS
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("train/NORMAL/a.jpeg", b"other")
    refuse(path, raw, "'train/NORMAL/a.jpeg'", "different content")


def test_damaged_member_is_refused_by_name_and_leaves_the_old_raw(tmp_path, raw):
    make_folder(raw, {"train/NORMAL/old.jpeg": b"old"})
    path = make_zip(tmp_path / "x.zip", IMAGES, zipfile.ZIP_STORED)
    content = IMAGES["val/PNEUMONIA/b.jpeg"]  # the last to be written
    path.write_bytes(path.read_bytes().replace(content, content[:-1] + b"?"))
    refuse(path, raw, "'val/PNEUMONIA/b.jpeg'", "Bad CRC-32")


@pytest.mark.parametrize("declared", [10, 99_999, 100_001])
def test_zip_member_of_another_size_than_declared_is_refused(tmp_path, raw, declared):
    path = make_zip(tmp_path / "x.zip", {**IMAGES, "train/NORMAL/bomb.jpeg": b"0" * 100_000})
    path.write_bytes(path.read_bytes().replace(struct.pack("<L", 100_000), struct.pack("<L", declared)))
    refuse(path, raw, "bomb.jpeg")


def test_a_file_that_grows_while_it_is_copied_is_not_followed(tmp_path):
    endless = Path("/dev/zero")
    member = archive.Member("zero.jpeg", 10, checksum=lambda: 0, open=lambda: endless.open("rb"))
    with pytest.raises(SourceError, match=r"'zero.jpeg': expected 10 bytes, found"):
        archive._copy(member, tmp_path / "zero.jpeg", tmp_path)
    assert (tmp_path / "zero.jpeg").stat().st_size < 2 * archive._CHUNK_BYTES + 10


@pytest.mark.parametrize("kind", MAKERS)
def test_member_over_the_size_limit_is_refused(tmp_path, raw, kind, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 5_000)
    source = MAKERS[kind](tmp_path / "source", {**IMAGES, "train/NORMAL/bomb.jpeg": b"0" * 5_001})
    refuse(source, raw, "bomb.jpeg", "5,000", "5,001")
    (tmp_path / "fits").mkdir()
    assert unpack(MAKERS[kind](tmp_path / "fits" / "x", {**IMAGES, "train/NORMAL/fits.jpeg": b"0" * 5_000}), raw)


def test_more_than_the_disk_holds_is_refused_before_writing(tmp_path, raw, monkeypatch):
    source = make_folder(tmp_path / "source", IMAGES)
    with (source / "train/NORMAL/a.jpeg").open("wb") as file:
        file.truncate(1 << 42)  # sparse: 4 TiB that take no room
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 1 << 43)
    refuse(source, raw, "bytes free", "make room")


def encrypted(path: Path) -> None:
    """Set the encryption bit of every member, in local headers and in the central directory."""
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := data.find(signature, at + 1)) >= 0:
            data[at + offset] |= 1
    path.write_bytes(data)


def unsupported(path: Path) -> None:
    data = path.read_bytes().replace(b"PK\x03\x04\x14\x00\x00\x00\x08", b"PK\x03\x04\x14\x00\x00\x00\x63")
    data = data.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x08", b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x63")
    path.write_bytes(data)


DAMAGES = {
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:-300]), ["cut short", "again"]),
    "cut to the head": (lambda path: path.write_bytes(path.read_bytes()[:20]), ["cut short"]),
    "empty": (lambda path: path.write_bytes(b""), ["expected a zip file or a folder"]),
    "a web page": (lambda path: path.write_bytes(b"<html>log in</html>"), ["expected a zip file or a folder"]),
    "encrypted": (encrypted, ["'train/NORMAL/a.jpeg'", "encrypted", "password"]),
    "unknown compression": (unsupported, ["compression", "unpack it and set data.path to the folder"]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_zip_is_refused_with_the_reason(tmp_path, raw, damage):
    path = make_zip(tmp_path / "x.zip", IMAGES)
    spoil, words = DAMAGES[damage]
    spoil(path)
    refuse(path, raw, str(path), *words)


@settings(max_examples=60, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 255)), min_size=1, max_size=4))
@example(changes=[(184, 26), (4, 0), (165, 8)])  # a name that is no UTF-8
@example(changes=[(2847, 0)])  # an empty name
def test_no_damaged_byte_gets_past_unnoticed(tmp_path_factory, changes):
    folder = tmp_path_factory.mktemp("fuzz")
    path, raw = make_zip(folder / "x.zip", IMAGES), folder / "raw"
    content = bytearray(path.read_bytes())
    for at, value in changes:
        content[at % len(content)] = value
    path.write_bytes(content)
    try:
        unpack(path, raw)
    except SourceError:
        assert not raw.exists()
    else:
        assert set(files(raw).values()) <= set(IMAGES.values())  # what is left out is said
    assert {entry.name for entry in folder.iterdir()} <= {"x.zip", "raw"}


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
