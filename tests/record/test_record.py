"""What a record says of its models, and which files may be missing."""

import json

import pytest

from pneumo.errors import RecordError
from pneumo.record.record import BASELINE, KINDS, Model, Record


def test_candidates_are_backbones_and_then_ensembles(read_tree, project):
    project.params["ensembles"] = {"both": {"top": "all"}}
    project.write_params()
    assert Record(read_tree()).candidates == ["cnn", "vgg16", "both"]


@pytest.mark.parametrize("section", [["a"], {1: {}}, "cnn"])
def test_a_section_without_names_of_models_is_an_error(read_tree, project, section):
    project.params["model"] = section
    project.write_params()
    with pytest.raises(RecordError, match=r"params.yaml: expected names in model, not"):
        _ = Record(read_tree()).candidates


def test_a_section_may_be_missing_or_null(read_tree, project):
    project.params["ensembles"] = None
    del project.params["model"]
    project.write_params()
    assert Record(read_tree()).candidates == []


def test_a_model_has_metrics_and_scores(read_tree, project):
    model = Record(read_tree()).model("cnn")
    assert model.metrics == json.loads((project.root / "metrics/cnn.json").read_text())
    assert model.scores("val") is model.val_scores
    assert model.scores("test") is model.test_scores
    assert model.stress_logits is None


def test_the_baseline_has_a_folder_of_scores_to_itself(read_tree):
    def paths(name):
        return [Model(read_tree(), name, name).path(kind) for kind in KINDS]

    assert paths("cnn") == ["metrics/cnn.json", "scores/val/cnn.csv", "scores/test/cnn.csv", "scores/stress/cnn.csv"]
    assert paths(BASELINE) == ["metrics/shortcut.json", *(f"scores/shortcut/{kind}.csv" for kind in KINDS[1:])]


def test_files_of_another_hospital_are_left_over_only_where_it_is_not_named(read_tree, project):
    paths = [
        "metrics/external/there.json",
        "scores/external/exposure/there.csv",
        "scores/external/shortcut/there.csv",
        "scores/external/there.csv",
    ]
    for path in paths:
        (project.root / path).parent.mkdir(parents=True, exist_ok=True)
        (project.root / path).write_text("{}")
    assert [path for path in Record(read_tree()).left_over if "external" in path] == paths
    project.params["external"] = {"there": {}}
    project.write_params()
    assert [path for path in Record(read_tree()).left_over if "external" in path] == []


def test_only_a_lenient_record_may_lack_files_and_never_the_selected_model(read_tree, project):
    for path in ("params.yaml", "dvc.lock", "metrics/data.json", "metrics/best.json"):
        (project.root / path).unlink()
    tree = read_tree()
    lenient, strict = Record(tree, lenient=True), Record(tree)
    assert (lenient.params, lenient.data, lenient.lock, lenient.candidates) == ({}, {}, {}, [])
    for name in ("params", "data", "lock"):
        with pytest.raises(RecordError, match="is missing"):
            getattr(strict, name)
    for record in (lenient, strict):
        with pytest.raises(RecordError, match=r"metrics/best.json is missing"):
            _ = record.best
