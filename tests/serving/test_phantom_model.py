"""A model that has seen no patient says so with every prediction."""

import json
import shutil

import pytest
from bundles import draw

from pneumo import cli
from pneumo.serving import model
from pneumo.serving.predict import predictions


@pytest.fixture
def of_phantoms(exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "best")
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"phantoms": True}))
    return folder


def test_programs_get_the_warning_with_each_image(of_phantoms, tmp_path):
    films = draw(tmp_path / "films", 3)
    assert all(model.PHANTOMS in one.warnings for one in predictions(model.load(of_phantoms), films))


def test_people_get_it_once_above_the_table(of_phantoms, tmp_path, capsys):
    films = draw(tmp_path / "films", 2)
    assert cli.main(["predict", "--model", str(of_phantoms), *map(str, films)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"WARNING: {model.PHANTOMS}"
    assert sum(model.PHANTOMS in line for line in lines) == 1


def test_of_a_model_that_has_seen_patients_nothing_is_said(exported, tmp_path):
    (film,) = draw(tmp_path / "films", 1)
    loaded = model.load(exported)
    assert loaded.warnings == ()
    assert model.PHANTOMS not in next(predictions(loaded, [film])).warnings
