"""pneumo predict --heatmap: pictures of where the evidence lies."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from bundles import draw
from PIL import Image

from pneumo import cli
from pneumo.errors import BundleError, ServingError
from pneumo.serving import heatmap, model, output
from pneumo.serving.predict import predictions


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("films"), 3)


def run(exported, *words):
    return cli.main(["predict", "--model", str(exported), *map(str, words)])


def rows_of(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_image_has_a_picture_that_its_row_names(exported, films, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    same_name = shutil.copy(films[1], other / films[0].name)
    broken = other / "broken.png"
    broken.touch()
    images = [*films, same_name, broken]
    assert run(exported, *images, "--heatmap", tmp_path / "deep/maps", "--format", "jsonl") == 1
    rows = rows_of(capsys)
    assert [row["heatmap"] is None for row in rows] == [False] * 4 + [True]
    pictures = {row["heatmap"] for row in rows[:4]}
    assert pictures == {str(path) for path in (tmp_path / "deep/maps").iterdir()}
    assert len(pictures) == 4, "two films have one name"
    with Image.open(rows[0]["heatmap"]) as picture:
        assert (picture.format, picture.size) == ("PNG", (2 * heatmap.SMALLEST + heatmap.GAP, heatmap.SMALLEST))


def test_without_it_rows_are_what_they_were_and_with_it_the_numbers_are_the_same(exported, films, tmp_path, capsys):
    run(exported, *films, "--format", "csv")
    plain = capsys.readouterr().out
    assert plain.splitlines()[0] == ",".join(output.COLUMNS)
    run(exported, *films, "--format", "csv", "--heatmap", tmp_path / "maps")
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    expected = list(csv.DictReader(io.StringIO(plain)))
    assert [{key: row[key] for key in output.COLUMNS} for row in found] == expected
    assert list(found[0]) == [*output.COLUMNS, "heatmap"]


def test_a_second_run_replaces_its_own_pictures_alone(exported, films, tmp_path, capsys):
    for _ in range(2):
        assert run(exported, films[0], "--heatmap", tmp_path, "--format", "jsonl") == 0
    (row, again) = rows_of(capsys)
    assert row == again
    assert [path.name for path in tmp_path.iterdir()] == [heatmap.name(str(films[0]))]
    shutil.copy(films[1], row["heatmap"])
    with pytest.raises(ServingError, match="is there, and is no heat map of this command: move it away"):
        list(predictions(model.load(exported), films[:1], heatmap.Folder(tmp_path)))
    assert (tmp_path / heatmap.name(str(films[0]))).read_bytes() == films[1].read_bytes()


def test_a_link_in_the_place_of_a_picture_is_not_followed(films, tmp_path):
    film = tmp_path / "film.png"
    heatmap.Folder(tmp_path / "maps")
    (tmp_path / "maps" / heatmap.name("a.png")).symlink_to(film)
    with pytest.raises(ServingError, match="no heat map of this command"):
        heatmap.Folder(tmp_path / "maps").write("a.png", np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.float32))
    assert not film.exists()


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("notes.txt", "is a file: name a folder"),
        ("notes.txt/maps", "Not a directory"),
        ("films", "is searched for films"),
        ("films/deep/maps", "is searched for films"),
        ("a" * 300, "File name too long"),
    ],
)
def test_a_place_that_cannot_be_used_is_an_error_before_anything_is_predicted(exported, tmp_path, capsys, place, says):
    draw(tmp_path / "films", 2)
    (tmp_path / "notes.txt").touch()
    assert run(exported, tmp_path / "films", "--heatmap", tmp_path / place, "--format", "jsonl") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert len(list((tmp_path / "films").iterdir())) == 2


def test_a_full_disk_is_an_error_that_leaves_no_half_picture(tmp_path, monkeypatch):
    folder = heatmap.Folder(tmp_path)

    def fail(path, data):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(ServingError, match="No space left on device"):
        folder.write("a.png", np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.float32))
    assert not list(tmp_path.iterdir())


def test_a_model_of_before_gives_predictions_but_no_heat(exported, films, tmp_path, capsys):
    old = shutil.copytree(exported, tmp_path / "old")
    for name, keys in (("model.json", ("onnx", "heat")), ("reference.json", ("heat",))):
        content = json.loads((old / name).read_text())
        inner = content[keys[0]] if len(keys) == 2 else content
        del inner[keys[-1]]
        (old / name).write_text(json.dumps(content))
    assert run(old, films[0]) == 0
    assert run(old, films[0], "--heatmap", tmp_path / "maps") == 1
    assert "gives no heat map: it was exported by an older version" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()
    with pytest.raises(BundleError, match="gives no heat map"):
        model.load(old).heat(np.zeros((1, 40, 40), np.uint8))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda heat: [[1 - part for part in parts] for parts in heat], "does not give the heat of its reference.json"),
        (lambda heat: heat[:-1], "lacks the heat"),
        (lambda heat: [parts[:-1] for parts in heat], "lacks the heat"),
        (lambda heat: None, "lacks the heat"),
        (lambda heat: "warm", "heat: Input should be a valid list"),
    ],
)
def test_heat_that_is_not_that_of_the_export_is_refused(exported, tmp_path, change, says):
    copy = shutil.copytree(exported, tmp_path / "copy")
    content = json.loads((copy / "reference.json").read_text())
    (copy / "reference.json").write_text(json.dumps(content | {"heat": change(content["heat"])}))
    with pytest.raises(BundleError, match=says):
        model.load(copy, heat=True)


def test_heat_lies_between_none_and_the_strongest_and_does_not_depend_on_its_batch(exported):
    loaded = model.load(exported, heat=True)
    pixels = np.stack([np.asarray(Image.effect_noise((40, 40), 60)) for _ in range(5)])
    heat = loaded.heat(pixels)
    assert heat.min() >= 0
    assert heat.max(axis=(1, 2)) == pytest.approx(heat.any(axis=(1, 2)).astype(float))
    np.testing.assert_allclose(loaded.heat(pixels[3:4])[0], heat[3], atol=1e-4)


@pytest.mark.parametrize(
    ("grey", "heat", "colour"),
    [
        (100, 0.0, (100, 100, 100)),  # the film itself
        (0, 1.0, (144, 149, 20)),  # 0.6 of plasma's yellow
        (255, 1.0, (246, 251, 122)),
        (100, 0.5, (131, 91, 106)),
    ],
)
def test_colour_lies_over_the_film_as_strongly_as_the_evidence(grey, heat, colour):
    found = heatmap.overlay(np.full((2, 2), grey, np.uint8), np.full((2, 2), heat, np.float32))
    assert found.dtype == np.uint8
    assert tuple(found[0, 0]) == colour


@pytest.mark.parametrize(
    ("image", "begins"),
    [
        ("a/film.png", "film.png."),
        ("a/ä b\n\x1b.png", "__b__.png."),
        ("x" * 200 + ".png", "x" * heatmap.NAMED + "."),
        ("\udcff.png", "_.png."),
    ],
)
def test_names_are_short_and_plain(image, begins):
    assert heatmap.name(image).startswith(begins)
    assert len(heatmap.name(image)) < 100
    assert heatmap.name(image) != heatmap.name(f"b/{image}")
