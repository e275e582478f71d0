import numpy as np
import pandas as pd
import pytest

from pneumo.errors import ManifestError, ParamsError
from pneumo.evaluation import decision, ensemble
from pneumo.scoring import scores

CONTRACT = {"threshold": 0.5, "parameters": 1, "flops": 2, "kind": "backbone", "weights": "none", "input_size": 64}
CONTRACT |= {"labels": ["normal", "pneumonia"], "sha256": {"weights": "ab", "manifest": "cd"}, "versions": {}}


def raw(logit) -> pd.DataFrame:
    n = len(logit)
    rows = {"image": [f"{i:03}" for i in range(n)], "patient": [f"p{i}" for i in range(n)]}
    return pd.DataFrame(rows | {"label": np.arange(n) % 2, "subtype": "unknown", "logit": np.asarray(logit, float)})


def validation(noise: float) -> pd.DataFrame:
    logit = 2.0 * (np.arange(80) % 2) - 1 + np.random.default_rng(0).normal(0, noise, 80)
    return decision.calibrated(raw(logit), 1.0)


def test_each_logit_counts_as_much_as_its_temperature_lets_it():
    mean = scores.mean_logit({"a": raw([1.0, 4.0]), "b": raw([3.0, -8.0])}, {"a": 1.0, "b": 2.0})
    assert mean["logit"].tolist() == [1.25, 0.0]


def test_members_must_have_the_same_images():
    with pytest.raises(ManifestError, match="not of the same images"):
        scores.mean_logit({"a": raw([1.0, 4.0]), "b": raw([3.0])}, {"a": 1.0, "b": 2.0})


@pytest.mark.parametrize(("top", "expected"), [("all", ["a", "b", "c"]), (2, ["b", "c"])])
def test_members_are_all_or_the_best_on_validation(top, expected):
    tables = {"a": validation(9.0), "b": validation(0.5), "c": validation(1.5)}
    assert ensemble.members(tables, dict.fromkeys(tables, CONTRACT), top, "roc_auc") == expected


@pytest.mark.parametrize(("names", "top", "says"), [("a", "all", "needs two"), ("ab", 3, "top is 3")])
def test_too_few_backbones_are_refused(names, top, says):
    tables = dict.fromkeys(names, validation(1.0))
    with pytest.raises(ParamsError, match=says):
        ensemble.members(tables, dict.fromkeys(names, CONTRACT), top, "roc_auc")


def test_the_contract_adds_up_the_cost_and_names_what_all_have_in_common():
    decided = {"temperature": 1.0, "threshold": 0.4, "threshold_policy": {}}
    found = ensemble.model_json_of("e", {"a": CONTRACT, "b": CONTRACT | {"input_size": 75}}, decided)
    assert (found["parameters"], found["flops"]) == (2, 4)
    assert (found["weights"], found["input_size"]) == ("none", None)
    assert found["members"] == {"a": "ab", "b": "ab"}
