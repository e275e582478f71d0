"""Which films `pneumo predict --error-rate` leaves to a reader."""

import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest
from bundles import draw

from pneumo import cli
from pneumo.errors import ServingError
from pneumo.evaluation import abstention
from pneumo.serving import contract, model


def test_films_within_the_margin_are_unsure_as_in_the_figures(exported):
    """The same films as those that abstention.measure counts as left to a reader."""
    loaded = model.load(exported, error_rate="5%")
    assert loaded.margin == 0.5
    threshold = loaded.contract.threshold
    scores = np.array([float(f"{score:.6g}") for score in np.linspace(0.001, 0.999, 999)])
    left = abstention.confidence(pd.Series(scores), threshold) < loaded.margin
    assert [loaded.decision(score) == model.UNSURE for score in scores] == left.tolist()
    assert 100 < left.sum() < 500
    assert {loaded.decision(score) for score in scores[~left]} == {"normal", "pneumonia"}


def test_without_an_error_rate_every_film_is_decided_and_an_infinite_margin_decides_none(exported):
    scores = (0.0, 0.3, 0.5, 1.0)
    assert [model.load(exported).decision(score) for score in scores] == ["normal", "normal", "pneumonia", "pneumonia"]
    loaded = model.load(exported, error_rate="1%")
    assert loaded.margin == math.inf
    assert {loaded.decision(score) for score in scores} == {model.UNSURE}


def test_an_error_rate_without_a_margin_is_refused_with_those_that_there_are(exported):
    with pytest.raises(ServingError, match=r"--error-rate is 3%.*margins for: 5%, 1%"):
        model.load(exported, error_rate="3%")


@pytest.mark.parametrize("rate", ["1%", "0.01", "1.0%"])
def test_the_command_says_so_beside_the_probability(exported, tmp_path, capsys, rate):
    (film,) = draw(tmp_path / "films", 1)
    assert cli.main(["predict", str(film), "--model", str(exported), "--error-rate", rate]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "unsure: left to a reader" in lines[1]
    assert lines[-1].split()[1] == "unsure"


@pytest.mark.parametrize("rate", ["none", "0", "100%", "1", "-5%"])
def test_what_is_no_error_rate_is_bad_usage(exported, capsys, rate):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["predict", "film.png", "--model", str(exported), f"--error-rate={rate}"])
    assert "expected a share of errors, such as 5% or 0.05" in capsys.readouterr().err


def test_the_margins_of_the_contract_may_be_missing(exported):
    """A model of an earlier version has none."""
    about = contract.read(exported)
    assert about.margins == {"5%": 0.5, "1%": None}
    old = {key: value for key, value in about.model_dump().items() if key != "margins"}
    assert contract.Contract.model_validate(old).margins == {}


@pytest.mark.parametrize(("margin", "which"), [(0.0, "no film"), (0.25, "within 0.25"), (None, "all films")])
def test_the_table_says_which_films_are_left(exported, tmp_path, capsys, margin, which):
    folder = shutil.copytree(exported, tmp_path / "best")
    about = json.loads((folder / "model.json").read_text()) | {"margins": {"2%": margin}}
    (folder / "model.json").write_text(json.dumps(about))
    (film,) = draw(tmp_path / "films", 1)
    assert cli.main(["predict", str(film), "--model", str(folder), "--error-rate", "2%"]) == 0
    assert which in capsys.readouterr().out.splitlines()[1]
