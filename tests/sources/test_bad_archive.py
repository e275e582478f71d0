"""Zips and folders that are refused by name: unsafe names, links, collisions, damage, more than fits."""

import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from archives import COUNTS, IMAGES, MAKERS, files, make_folder, make_zip, refuse
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pneumo.errors import SourceError
from pneumo.sources import archive
from pneumo.sources.archive import unpack


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
