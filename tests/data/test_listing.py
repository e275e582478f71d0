"""Images of several sites as one list."""

import pytest

from pneumo.data import listing
from pneumo.data.listing import Listed, Raw
from pneumo.errors import ManifestError


def left(folder, *images, left_out=()):
    folder.mkdir(parents=True)
    listing.write(images, left_out, folder)
    return folder


def image(name, patient, **details):
    return Listed(name, 0, "normal", patient, "train", details=details)


def test_one_source_is_read_as_it_is(tmp_path):
    raw = Raw(left(tmp_path / "raw", image("b.png", "2"), image("a.png", "1")))
    assert [(each.image, each.patient, each.details) for each in raw.read()] == [("a.png", "1", {}), ("b.png", "2", {})]
    assert raw.path("a.png") == tmp_path / "raw/a.png"


def test_of_several_sites_each_image_and_patient_says_which(tmp_path):
    """The patient 1 of two hospitals is two people; what a source does not know stays unknown."""
    main = left(tmp_path / "raw", image("x/a.png", "1", view="PA"), left_out=[("x/a.txt", "no image")])
    people = ("1", f"{listing.UNKNOWN}a", f"{listing.ALONE}a")
    images = [image(f"x/{number}.png", patient) for number, patient in enumerate(people)]
    other = left(tmp_path / "nih", *images, left_out=[("b.txt", "no image")])
    raw = Raw(main, {"nih": other}, "kermany")
    assert [(each.image, each.patient) for each in raw.read()] == [
        ("nih/x/0.png", "nih/1"),
        ("nih/x/1.png", f"{listing.UNKNOWN}nih/a"),
        ("nih/x/2.png", f"{listing.ALONE}nih/a"),
        ("x/a.png", "1"),
    ]
    assert [each.details["site"] for each in raw.read()] == ["nih", "nih", "nih", "kermany"]
    assert raw.read()[-1].details == {"site": "kermany", "view": "PA"}
    assert raw.path("nih/x/0.png") == other / "x/0.png"
    assert raw.path("x/a.png") == main / "x/a.png"
    assert raw.left_out(5) == {"files": 2, "reasons": {"no image": 2}, "first": ["x/a.txt", "nih/b.txt"]}


def test_a_folder_that_is_called_like_a_site_is_refused(tmp_path):
    raw = Raw(left(tmp_path / "raw", image("nih/a.png", "1")), {"nih": left(tmp_path / "nih", image("a.png", "1"))})
    with pytest.raises(ManifestError, match=r"has the name of the site 'nih'.*\+data@sites\.NAME"):
        raw.read()


@pytest.mark.parametrize("where", ["raw", "nih"])
def test_a_source_of_several_that_keeps_a_column_site_is_refused(tmp_path, where):
    kept = {"raw": {}, "nih": {}} | {where: {"site": "ward 3"}}
    main = left(tmp_path / "raw", image("a.png", "1", **kept["raw"]))
    raw = Raw(main, {"nih": left(tmp_path / "nih", image("a.png", "1", **kept["nih"]))})
    with pytest.raises(ManifestError, match="keeps a column 'site'"):
        raw.read()
