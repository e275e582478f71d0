"""The files of a folder: found by the names that a table has for them, linked, and never left by a name."""

import os
import stat
from pathlib import Path

import pytest
from hospital import ROWS
from listed import contents

from pneumo import sources
from pneumo.errors import SourceError
from pneumo.sources import folder


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.png", "no such file below data.path"),
        ("../secret.png", "outside data.path"),
        ("x/../../secret.png", "outside data.path"),
        ("/etc/hostname", "outside data.path"),
    ],
)
def test_what_is_not_below_the_folder_is_rejected_and_never_read(hospital, name, reason, capsys):
    (hospital.images.parent / "secret.png").write_text("secret")
    hospital.rows(*ROWS, f"{name},Pneumonia,3")
    assert hospital.obtain()[name].rejected == reason
    assert f"rejected: 1 images, {reason}, such as {name!r}" in capsys.readouterr().out
    assert b"secret" not in b"".join(contents(hospital.raw).values())


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_link_or_device_among_the_images_stops_the_run(hospital, kind):
    data = hospital.source()
    entry = hospital.images / "c.png"
    os.mkfifo(entry) if kind == "pipe" else entry.symlink_to("/etc/hostname")
    with pytest.raises(SourceError, match=r"c\.png: found "):
        sources.obtain(data, hospital.raw, hospital.raw)
    assert not hospital.raw.exists()


def test_an_image_is_found_by_the_last_part_of_its_path_unless_two_have_it(hospital):
    hospital.film("images_001/c.png")
    hospital.rows(*ROWS, "c.png,Pneumonia,3")
    assert "images_001/c.png" in hospital.obtain()
    hospital.film("images_002/c.png")
    with pytest.raises(SourceError, match=r"'c\.png' may be 'images_001/c\.png' or 'images_002/c\.png'"):
        hospital.obtain()
    hospital.rows(*ROWS, "images_002/c.png,Pneumonia,3")
    assert "images_002/c.png" in hospital.obtain()


def test_accents_that_stand_apart_in_the_file_name_are_found(hospital):
    hospital.film("Ro\u0308ntgen.png")  # as macOS writes it
    hospital.rows(*ROWS, "R\u00f6ntgen.png,Pneumonia,3")
    assert "Ro\u0308ntgen.png" in hospital.obtain()


@pytest.mark.parametrize("supported", ["hard link", "copy"])
def test_files_are_linked_where_they_can_be_and_the_original_stays_as_it_is(hospital, supported, monkeypatch):
    """No reflink here or there; DVC then puts a copy from its cache in place of the link."""
    monkeypatch.setattr("dvc_objects.fs.system.reflink", refused)
    if supported == "copy":
        monkeypatch.setattr(os, "link", refused)
    sources.table.obtain(hospital.source(), hospital.raw, hospital.raw)
    original, film = hospital.images / "a.png", hospital.raw / "a.png"
    assert film.samefile(original) == (supported == "hard link")
    assert film.read_text() == "film a.png"
    hospital.obtain()  # removes the links
    assert original.read_text() == "film a.png"
    assert stat.S_IMODE(original.stat().st_mode) & stat.S_IWUSR


def refused(*_: object, **__: object) -> None:
    raise OSError("not supported")


def test_reflinks_come_first(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("x")
    monkeypatch.setattr("dvc_objects.fs.system.reflink", lambda source, target: Path(target).write_text("reflink"))
    folder.link(["a"], tmp_path, tmp_path / "new")
    assert (tmp_path / "new/a").read_text() == "reflink"
