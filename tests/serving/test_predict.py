"""pneumo predict: what people give it, and what they get."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bundles import draw
from dicoms import film

from pneumo import cli
from pneumo.serving import guard, model, output
from pneumo.serving.predict import AHEAD, BATCH, listed, predictions


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("films"), 2 * AHEAD + 3)


@pytest.fixture(scope="module")
def loaded(exported):
    return model.load(exported)


def run(exported, *words):
    return cli.main(["predict", "--model", str(exported), *map(str, words)])


def test_predictions_come_in_order_and_do_not_depend_on_their_neighbours(loaded, films):
    together = list(predictions(loaded, films))
    assert [one.image for one in together] == [str(path) for path in films]
    for one in (together[0], together[BATCH], together[-1]):
        (alone,) = predictions(loaded, [Path(one.image)])
        assert alone.probability == pytest.approx(one.probability, abs=1e-6)
        assert one.decision == ("pneumonia" if one.probability >= loaded.contract.threshold else "normal")


def test_a_broken_file_has_an_error_in_its_place_and_the_rest_goes_on(exported, films, tmp_path, capsys):
    truncated = tmp_path / "truncated.png"
    truncated.write_bytes(films[0].read_bytes()[:-20])
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    assert run(exported, films[0], truncated, tmp_path / "gone.png", text, films[1], "--format", "jsonl") == 1
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["error"] for row in rows] == [
        None,
        "PNG is truncated: it has no IEND chunk",
        "No such file or directory",
        "text file; expected JPEG, PNG or DICOM",
        None,
    ]
    assert all((row["probability"] is None) == (row["error"] is not None) for row in rows)
    assert err == "3 of 5 images have no prediction\n"


def test_folders_are_searched_at_any_depth_in_the_order_of_names(tmp_path):
    for name in ("b/2.PNG", "b/a/1.dcm", "a.jpeg", "b/notes.txt", "b/.hidden.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in listed([str(tmp_path)])]
    assert found == ["a.jpeg", "b/2.PNG", "b/a/1.dcm"]


@pytest.mark.parametrize(
    ("elements", "warnings"),
    [
        ({}, []),
        ({"ViewPosition": "LATERAL"}, ["view LATERAL: the model was trained on PA, AP"]),
        ({"BodyPartExamined": "FOOT"}, ["body part FOOT: the model was trained on chest films"]),
        ({"ViewPosition": "", "BodyPartExamined": ""}, []),
    ],
)
def test_a_header_that_speaks_against_a_film_is_a_warning(exported, tmp_path, capsys, elements, warnings):
    pixels = np.random.default_rng(0).integers(0, 4096, (60, 50), dtype=np.uint16)
    (tmp_path / "film.dcm").write_bytes(film(pixels, **elements))
    assert run(exported, tmp_path / "film.dcm", "--format", "json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert [warning for warning in row["warnings"] if warning != guard.WARNING] == warnings  # noise is no film
    run(exported, tmp_path / "film.dcm")
    assert all(warning in capsys.readouterr().out for warning in warnings)


def test_a_folder_without_images_is_an_error(exported, films, tmp_path, capsys):
    """In its place: the rest of a list goes on."""
    (tmp_path / "none").mkdir()
    assert run(exported, tmp_path / "none", films[0], "--format", "jsonl") == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0]["error"] == "folder without images: no file in it ends in .jpg, .jpeg, .png, .dcm, .dicom"
    assert rows[1]["error"] is None


def test_a_dash_stands_for_a_list_on_standard_input(exported, films, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{films[1]}\n\n{films[0]}\n"))
    assert run(exported, films[2], "-", "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["image"] for row in rows] == [str(films[at]) for at in (2, 1, 0)]


def test_each_format_says_the_same(loaded, films):
    found = list(predictions(loaded, films[:2]))
    texts = {kind: "".join(output.lines(loaded, found, kind)) for kind in output.FORMATS}
    rows = [output.row(loaded, one) for one in found]
    assert json.loads(texts["json"]) == [json.loads(line) for line in texts["jsonl"].splitlines()] == rows
    assert [row["probability"] for row in csv.DictReader(io.StringIO(texts["csv"]))] == [
        str(row["probability"]) for row in rows
    ]
    for one in found:
        assert f"{one.probability:.4f}  {one.decision}" in texts["table"]
    assert output.NOTICE in texts["table"]
    assert json.loads("".join(output.lines(loaded, [], "json"))) == []


def test_results_are_written_as_they_come(loaded, films):
    """Memory stays flat: of an endless list no more is read than what is in hand."""
    taken = []

    def endless():
        while True:
            for path in films:
                taken.append(path)
                yield path

    found = output.lines(loaded, predictions(loaded, endless()), "jsonl")
    for _ in range(5):
        next(found)
    assert len(taken) <= AHEAD + 2 * BATCH


def test_neither_torch_nor_dvc_is_imported(exported, films, root):
    script = (
        "import sys; from pneumo import cli; code = cli.main(sys.argv[1:]); print(sorted(sys.modules)); sys.exit(code)"
    )
    command = [sys.executable, "-c", script, "predict", "--model", exported, films[0]]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    loaded_modules = done.stdout.splitlines()[-1]
    for heavy in ("torch", "dvc", "gto", "scmrepo", "lightning", "pandas", "sklearn", "scipy", "onnx", "highdicom"):
        assert f"'{heavy}'" not in loaded_modules


def test_the_model_is_all_it_takes(exported, films, tmp_path):
    """Its folder in another place, and no project around it."""
    moved = shutil.copytree(exported, tmp_path / "elsewhere/model")
    for extra in ("model.safetensors",):
        (moved / extra).unlink()
    command = [sys.executable, "-m", "pneumo.cli", "predict", "--model", moved, films[0], "--format", "jsonl"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=os.environ)
    assert json.loads(done.stdout)["model"] == "tiny"


def test_without_a_model_the_error_names_the_folder(tmp_path, films, capsys):
    assert run(tmp_path / "none", films[0]) == 1
    assert "none/model.json is missing: name the folder of an exported model" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["pipe.png", "/dev/zero"])
def test_what_never_ends_is_refused(loaded, tmp_path, name):
    os.mkfifo(tmp_path / "pipe.png")
    (prediction,) = predictions(loaded, [tmp_path / name])
    assert prediction.error == "pipe, socket or device; expected a file"


@pytest.mark.parametrize(
    ("name", "error"), [("a" * 5000, "File name too long"), ("a\0b", "embedded null byte"), ("-", "No such file")]
)
def test_a_line_that_is_no_name_has_an_error_in_its_place(loaded, films, name, error):
    paths = listed(["-"], [f"{films[0]}\n", f"{name}\n", f"{films[1]}\r\n"])
    errors = [prediction.error for prediction in predictions(loaded, paths)]
    assert errors[0] is errors[2] is None
    assert error in errors[1]


def test_a_name_may_end_in_a_space():
    assert list(listed(["-"], ["a.png \n", " \n"])) == [Path("a.png ")]


def test_a_folder_that_may_not_be_searched_has_an_error_in_its_place(loaded, films, tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    shutil.copy(films[0], tmp_path)
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = [(Path(one.image).name, one.error) for one in predictions(loaded, listed([str(tmp_path)]))]
    assert found == [(films[0].name, None), ("closed", "Permission denied")]


def test_a_name_can_neither_break_a_line_of_the_table_nor_command_the_terminal(loaded, films, tmp_path):
    path = Path(shutil.copy(films[0], tmp_path / "a\n\x1b[2Jé\udcff.png"))
    missing = Path(f"{path}.png")
    text = "".join(output.lines(loaded, predictions(loaded, [path, missing]), "table"))
    assert len(text.splitlines()) == 4
    assert text.count("a\\n\\x1b[2Jé\\udcff.png") == 2


def pneumo(exported, *words, **options):
    command = [sys.executable, "-m", "pneumo.cli", "predict", "--model", exported, *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_a_full_disk_is_an_error_of_one_line(exported, films):
    with Path("/dev/full").open("w") as full, pneumo(exported, films[0], stdout=full) as running:
        assert running.stderr.read().startswith("error: the predictions cannot be written: No space left on device")
    assert running.returncode == 1


def test_an_interruption_leaves_whole_lines_and_no_traceback(exported, films):
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with pneumo(exported, "-", "--format", "jsonl", **streams) as running:
        running.stdin.write(f"{films[0]}\n" * 100)
        running.stdin.flush()
        json.loads(running.stdout.readline())
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert all(json.loads(line) for line in out.splitlines())
    assert (running.returncode, err) == (130, "interrupted\n")


def test_a_list_without_names_is_an_error(exported, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert run(exported, "-") == 1
    assert "standard input names no image" in capsys.readouterr().err


def test_names_on_standard_input_need_not_be_text(exported, films, tmp_path):
    path = os.fsencode(shutil.copy(films[0], tmp_path / "\udcff.png"))
    command = [sys.executable, "-m", "pneumo.cli", "predict", "--model", exported, "-", "--format", "jsonl"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, input=path + b"\n", capture_output=True, env=environment, check=True)
    assert os.fsencode(json.loads(done.stdout)["image"]) == path
