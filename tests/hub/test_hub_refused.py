"""What is not exported for the Hub, or not there."""

import hashlib
import re
import shutil

import pytest
from hub_contents import contents

from pneumo.errors import HubError
from pneumo.hub import private
from pneumo.hub.export import export

TAKEN = {  # what is done to an earlier export -> what the error names
    "edited": (
        lambda to: (to / "README.md").write_text("mine"),
        "README.md in it does not come from an export or was changed",
    ),
    "more in it": (lambda to: (to / "notes.txt").write_text("mine"), "notes.txt in it does not come from an export"),
    "a link": (lambda to: (to / "link").symlink_to("/"), "link in it does not come from an export"),
    "no export": (lambda to: (to / "SHA256SUMS").unlink(), "does not come from an export"),
}


@pytest.mark.parametrize(("done", "named"), TAKEN.values(), ids=TAKEN)
def test_what_somebody_has_put_there_is_never_replaced(exported, project, tmp_path, done, named):
    to = shutil.copytree(exported, tmp_path / "hub")
    done(to)
    before = contents(to)
    with pytest.raises(HubError, match=re.escape(named)):
        export(project / "models/best", to, project)
    assert contents(to) == before


def test_a_folder_of_other_files_with_sums_is_not_taken_for_an_export(project, tmp_path):
    (tmp_path / "disc.iso").write_bytes(b"1")
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(b'1').hexdigest()}  disc.iso\n")
    with pytest.raises(HubError, match="does not come from an export"):
        export(project / "models/best", tmp_path, project)


def test_a_place_that_cannot_be_a_folder_is_refused(project, tmp_path):
    (tmp_path / "file").touch()
    for to, reason in (
        (tmp_path / "file", "is not a folder"),
        (project / "models/best/hub", "is inside the model's own"),
    ):
        with pytest.raises(HubError, match=reason):
            export(project / "models/best", to, project)
    with pytest.raises(HubError, match=r"cannot be written: (File exists|Not a directory)"):
        export(project / "models/best", tmp_path / "file/hub", project)


def changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


OTHER = {  # file, what is changed in it -> what the error says
    "weights of the card": (
        "reports/MODEL_CARD.md",
        "| weights | `",
        "| weights | `0",
        "does not name the weights",
    ),
    "a figure of the card": ("reports/MODEL_CARD.md", "| recall | ", "| recall | 1", "lacks the row '| recall | "),
    "the threshold": (
        "metrics/best.json",
        '"threshold": 0.4',
        '"threshold": 0.3',
        "its threshold is 0.36, and",
    ),
    "the images": (
        "metrics/data.json",
        '"manifest_sha256": "',
        '"manifest_sha256": "0',
        "its images are not the ones",
    ),
}


@pytest.mark.parametrize(("name", "old", "new", "reason"), OTHER.values(), ids=OTHER)
def test_figures_of_another_model_are_refused(copied, tmp_path, name, old, new, reason):
    changed(copied / name, old, new)
    with pytest.raises(HubError, match=re.escape(reason)) as error:
        export(copied / "models/best", tmp_path / "hub", copied)
    assert "run `dvc repro report`" in str(error.value)
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize("name", ["reports/MODEL_CARD.md", "metrics/best.json", "LICENSE"])
def test_a_missing_file_is_named_with_the_remedy(copied, tmp_path, name):
    (copied / name).unlink()
    with pytest.raises(HubError, match=rf"{name} is missing: run from the project's top folder"):
        export(copied / "models/best", tmp_path / "hub", copied)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("in /home/me/films", "'/home/me'"),
        ("see `~/films/x`", "'~/films'"),
        (r"C:\films", r"'C:\\\\'"),
        ("such as person1_virus_6.jpeg.", "'person1_virus_6.jpeg'"),
        ("IM-0001-0001.DCM", "'IM-0001-0001.DCM'"),
        ("data/processed/rejected.csv, 1/2, doi:10.17632/rscbjbr9sj, https://example.org/a/b", None),
    ],
)
def test_paths_and_names_of_images_do_not_leave_the_house(text, what):
    if what is None:
        private.refuse({"choice.json": text})
        return
    with pytest.raises(HubError, match=what):
        private.refuse({"choice.json": text})


def test_nor_do_they_by_way_of_the_reason_for_the_choice(copied, tmp_path):
    changed(copied / "models/best/choice.json", " it is.", " it is, by /srv/films/person7.jpeg.")
    with pytest.raises(HubError, match=r"choice\.json contains what looks like a path of this machine, '/srv/films'"):
        export(copied / "models/best", tmp_path / "hub", copied)
