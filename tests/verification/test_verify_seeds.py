"""Records of several seeds: every figure of every replicate, their means, and models/best follow from the scores."""

import json
import shutil

import pytest
import records
from records import cell, more, put

from pneumo.errors import PneumoError


@pytest.fixture(scope="module", params=["median", "ensemble"])
def good(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("seeds") / request.param
    return records.make(
        root, seeds=3, replicate=request.param, external=["there"], backbones={"cnn": 0.8, "vgg16": 0.9}
    )


@pytest.fixture
def spoilt(good, tmp_path):
    return shutil.copytree(good, tmp_path / "record")


def test_a_record_of_three_seeds_is_verified(good):
    tally = records.run(good)
    assert tally.left_over == []
    candidates, models, baseline = 3, 9, 1
    of_metrics = candidates + baseline + 2  # with best.json and data.json
    of_scores = 3 * models + 2 * baseline
    assert (
        tally.files == of_metrics + of_scores + 1 + 2 + 4 + 1
    )  # suspected labels, the guard, the other hospital, README.md


def test_every_replicate_and_the_model_in_models_best_have_figures_without_suspected_labels(good):
    best = json.loads((good / "metrics/best.json").read_text())
    of_each = [values["without_suspected_labels"] for values in best["replicates"].values()]
    group = best["without_suspected_labels"]
    assert (group["images"], group["left_out"]) == (88, {"normal": 1, "pneumonia": 1})
    assert group["recall"] == pytest.approx(sum(values["recall"] for values in of_each) / 3, abs=1e-6)
    assert best["selected"]["without_suspected_labels"]["images"] == 88


def test_best_says_which_model_is_in_models_best_and_what_it_gives(good):
    best = json.loads((good / "metrics/best.json").read_text())
    assert best["seeds"] == [0, 1, 2]
    if good.name == "median":
        assert best["replicate"] in best["replicates"]
        of_it = best["replicates"][best["replicate"]]
        assert all(of_it[key] == value for key, value in best["selected"].items() if key in of_it)
    else:
        assert best["replicate"] == f"{best['model']}-seeds"
    assert json.loads((good / "metrics/external/there.json").read_text())["model"] == best["replicate"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (put("metrics/cnn.json", "accuracy", more(0.001)), "metrics/cnn.json: accuracy is"),
        (put("metrics/cnn.json", "sd.roc_auc", more(0.001)), "metrics/cnn.json: sd.roc_auc is"),
        (put("metrics/cnn.json", "ci95.recall.0", more(0.001)), r"metrics/cnn.json: ci95.recall\[0\] is"),
        (put("metrics/cnn.json", "replicates.cnn-1.recall", more(0.001)), "replicates.cnn-1.recall is"),
        (put("metrics/cnn.json", "replicates.cnn-2.threshold", more(0.001)), "metrics/cnn.json: threshold is"),
        (put("metrics/ensemble.json", "replicates.ensemble-2.members", ["cnn-1", "vgg16-2"]), "members"),
        (put("metrics/cnn.json", "without_suspected_labels.f1", 0.5), "without_suspected_labels.f1 is 0.5"),
        (
            put("metrics/cnn.json", "replicates.cnn-1.without_suspected_labels.f1", 0.5),
            "replicates.cnn-1.without_suspected_labels.f1 is 0.5",
        ),
        (
            put("metrics/best.json", "selected.without_suspected_labels.f1", 0.5),
            "selected.without_suspected_labels.f1 is 0.5",
        ),
        (put("metrics/best.json", "replicate", "cnn-9"), "metrics/best.json: replicate is 'cnn-9'"),
        (put("metrics/best.json", "selected.accuracy", more(0.001)), "metrics/best.json: selected.accuracy is"),
        (cell("scores/test/cnn-1.csv", 2, "score", "0.5"), "scores/test/cnn-1.csv: line 2"),
        (put("params.yaml", "select.replicate", lambda old: {"median": "ensemble"}.get(old, "median")), "best.json"),
    ],
)
def test_a_figure_that_does_not_follow_is_named(spoilt, spoil, says):
    spoil(spoilt)
    with pytest.raises(PneumoError, match=says):
        records.run(spoilt)


def test_scores_of_a_replicate_that_params_do_not_name_are_left_over(spoilt):
    shutil.copy(spoilt / "scores/test/cnn-1.csv", spoilt / "scores/test/cnn-7.csv")
    assert [path.rpartition("/")[2] for path in records.run(spoilt).left_over] == ["cnn-7.csv"]


def test_a_replicate_without_figures_is_an_error(spoilt):
    records.drop("metrics/cnn.json", "replicates.cnn-1")(spoilt)
    with pytest.raises(PneumoError, match=r"metrics/cnn.json has no figures of replicate cnn-1"):
        records.run(spoilt)
