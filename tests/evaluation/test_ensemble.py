import shutil

import pytest
from made_scores import NOISE, drawn_scores, logits

from pneumo.errors import ManifestError, ParamsError
from pneumo.evaluation import ensemble
from pneumo.evaluation.select_best import select_best
from pneumo.models import bundle
from pneumo.params import Replicate, Resampling, Select, Selection, Threshold
from pneumo.scoring import scores

MODEL_JSON = {"threshold": 0.5, "parameters": 1, "flops": 2, "kind": "backbone", "weights": "none", "input_size": 64}
MODEL_JSON |= {"labels": ["normal", "pneumonia"], "sha256": {"weights": "ab", "manifest": "cd"}, "versions": {}}


def test_each_logit_counts_as_much_as_its_temperature_lets_it():
    mean = scores.mean_logit({"a": logits([1.0, 4.0]), "b": logits([3.0, -8.0])}, {"a": 1.0, "b": 2.0})
    assert mean["logit"].tolist() == [1.25, 0.0]


def test_members_must_have_the_same_images():
    with pytest.raises(ManifestError, match="not of the same images"):
        scores.mean_logit({"a": logits([1.0, 4.0]), "b": logits([3.0])}, {"a": 1.0, "b": 2.0})


@pytest.mark.parametrize(("top", "expected"), [("all", ["a", "b", "c"]), (2, ["b", "c"])])
def test_members_are_all_or_the_best_on_validation(top, expected):
    tables = {"a": drawn_scores(9.0), "b": drawn_scores(0.5), "c": drawn_scores(1.5)}
    assert ensemble.members(tables, dict.fromkeys(tables, MODEL_JSON), top, "roc_auc") == expected


@pytest.mark.parametrize(
    ("names", "top", "says"),
    [
        ("a", "all", "needs at least two backbones; model has only a"),
        ("ab", 3, "top is 3; expected 'all' or at most 2"),
    ],
)
def test_too_few_backbones_are_refused(names, top, says):
    tables = dict.fromkeys(names, drawn_scores(1.0))
    with pytest.raises(ParamsError, match=says):
        ensemble.members(tables, dict.fromkeys(names, MODEL_JSON), top, "roc_auc")


def test_model_json_adds_up_the_cost_and_has_what_all_members_share():
    decided = {"temperature": 1.0, "threshold": 0.4, "threshold_policy": {}, "margins": {}}
    model_json = ensemble.model_json_of("e", {"a": MODEL_JSON, "b": MODEL_JSON | {"input_size": 75}}, decided)
    assert (model_json["parameters"], model_json["flops"]) == (2, 4)
    assert (model_json["weights"], model_json["input_size"]) == ("none", None)
    assert model_json["members"] == {"a": "ab", "b": "ab"}


def test_an_ensemble_is_built_scored_and_copied_with_its_members(calibrated, tmp_path):
    replicates = {name: Replicate(candidate=name, seed=0, folder=name) for name in NOISE}
    backbones = ensemble.backbones(replicates, calibrated / "models/trained", calibrated / "outputs")
    folder = tmp_path / "both"
    shutil.copytree(calibrated / "scores", tmp_path / "scores")
    model_json = ensemble.build(
        "both",
        backbones,
        folder,
        tmp_path / "scores",
        top=2,
        selection=Selection(scores="plain", metric="roc_auc"),
        policy=Threshold(scores="stress", policy="youden", value=None, error_rates=[0.05]),
    )
    assert list(model_json["members"]) == ["cnn", "vgg16"]
    assert bundle.model_json(folder) == model_json
    test_logits = ensemble.logits(model_json, backbones, "test")
    members = {name: scores.read_logits(backbones[name].outputs["test"]) for name in ("cnn", "vgg16")}
    temperatures = {name: bundle.model_json(backbones[name].folder)["temperature"] for name in members}
    assert test_logits.equals(scores.mean_logit(members, temperatures))
    selected = select_best(
        {name: [name] for name in ("both", *members)},
        {"both": folder, **{name: backbones[name].folder for name in members}},
        tmp_path / "scores",
        tmp_path / "best",
        select=Select(scores="plain", metric="roc_auc", prefer_cheaper=False, replicate="median"),
        bootstrap=Resampling(resamples=200, seed=0),
        threshold=Threshold(scores="stress", policy="youden", value=None, error_rates=[0.05]),
    )
    assert selected["model"] == "both"
    assert {path.name for path in (tmp_path / "best/members").iterdir()} == {"cnn", "vgg16"}
