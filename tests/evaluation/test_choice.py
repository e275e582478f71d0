import json
import re

import pytest
from made_scores import NOISE, drawn_scores

from pneumo.errors import ManifestError
from pneumo.evaluation import choice
from pneumo.models import bundle
from pneumo.params import Resampling, Select

SETTINGS = {"prefer_cheaper": False, "resamples": 500, "seed": 0}
CHEAPER = SETTINGS | {"prefer_cheaper": True}
GOOD, ALIKE, BAD = drawn_scores(0.8), drawn_scores(0.82, seed=9), drawn_scores(6.0, seed=1)


def model_json(parameters: int, flops: int = 1) -> dict:
    return {"threshold": 0.5, "parameters": parameters, "flops": flops, "kind": "backbone"}


def test_the_clear_winner_is_chosen():
    selected = choice.choose({"a": BAD, "b": GOOD}, {"a": model_json(1), "b": model_json(9)}, "roc_auc", **SETTINGS)
    assert selected["model"] == "b"
    assert [candidate["model"] for candidate in selected["candidates"]] == ["b", "a"]
    assert [candidate["within_noise"] for candidate in selected["candidates"]] == [True, False]
    assert selected["candidates"][1]["difference_ci95"][1] < 0
    assert (selected["n"], selected["patients"]) == (200, 100)


@pytest.mark.parametrize(
    ("tables", "parameters", "prefer_cheaper", "winner", "reason"),
    [
        ({"a": GOOD}, [1], False, "a", r"a is the only candidate; its validation ROC AUC is 0\.\d{4}\."),
        (
            {"a": GOOD, "b": BAD},
            [9, 1],
            True,
            "a",
            r"a has the highest validation ROC AUC, 0\.\d{4}, and wins 100% of the bootstrap resamples; no other "
            r"candidate is within noise of it\.",
        ),
        (
            {"a": GOOD, "b": ALIKE},
            [9, 1],
            False,
            "a",
            r"a has .* and wins \d\d% of the bootstrap resamples; b is within noise of it\.",
        ),
        (
            {"a": GOOD, "b": GOOD, "c": GOOD, "d": BAD},
            [1, 2, 3, 4],
            False,
            "a",
            r"a has .*; b and c are within noise of it\.",
        ),
        (
            {"a": GOOD, "b": ALIKE},
            [9000, 1000],
            True,
            "b",
            r"a has .* resamples, but b is within noise of it\. Of these, b \(ROC AUC 0\.\d{4}\) is the cheapest, with "
            r"1,000 parameters\.",
        ),
        (
            {"a": GOOD, "b": ALIKE},
            [1000, 9000],
            True,
            "a",
            r"a has .*; b is within noise of it, but not cheaper than its 1,000 parameters\.",
        ),
    ],
)
def test_the_reason_says_how_certain_the_winner_is_and_what_it_costs(
    tables, parameters, prefer_cheaper, winner, reason
):
    model_jsons = {name: model_json(count) for name, count in zip(tables, parameters, strict=True)}
    selected = choice.choose(tables, model_jsons, "roc_auc", **SETTINGS | {"prefer_cheaper": prefer_cheaper})
    assert selected["model"] == winner
    assert re.fullmatch(reason, selected["reason"]), selected["reason"]


def test_the_reason_names_scores_under_stress():
    selected = choice.choose({"a": GOOD}, {"a": model_json(1)}, "f1", **SETTINGS, scores_kind="stress")
    assert selected["scores"] == "stress"
    assert "validation F1 under stress is" in selected["reason"]


def test_of_equals_the_one_with_fewer_parameters_then_operations_comes_first():
    model_jsons = {"a": model_json(5, 7), "b": model_json(5, 3), "c": model_json(6, 1)}
    candidates = choice.choose(dict.fromkeys("abc", GOOD), model_jsons, "accuracy", **SETTINGS)["candidates"]
    assert [candidate["model"] for candidate in candidates] == ["b", "a", "c"]
    assert [candidate["p_best"] for candidate in candidates] == pytest.approx([1 / 3] * 3, abs=1e-6)
    assert candidates[1]["difference_ci95"] == [0, 0]


def test_another_candidate_changes_no_interval_of_the_first_two():
    model_jsons = {name: model_json(1) for name in "abc"}
    tables = {"a": GOOD, "b": BAD, "c": BAD.assign(score=0.5)}
    two = choice.choose({name: tables[name] for name in "ab"}, model_jsons, "roc_auc", **SETTINGS)["candidates"]
    three = choice.choose(tables, model_jsons, "roc_auc", **SETTINGS)["candidates"]
    assert [candidate["difference_ci95"] for candidate in three[:2]] == [row["difference_ci95"] for row in two]


def test_scores_of_other_images_cannot_be_compared():
    with pytest.raises(ManifestError, match="not of the same images"):
        choice.choose({"a": GOOD, "b": GOOD.iloc[:-1]}, {"a": model_json(1), "b": model_json(1)}, "roc_auc", **SETTINGS)


@pytest.mark.parametrize("kind", ["plain", "stress"])
def test_the_best_model_is_copied_with_the_reason_for_its_choice(calibrated, tmp_path, kind):
    folders = {name: calibrated / "models/trained" / name for name in NOISE}
    best = tmp_path / "best"
    (best / "members").mkdir(parents=True)  # of an earlier winner
    selected = choice.select_best(
        folders,
        calibrated / "scores",
        best,
        select=Select(scores=kind, metric="roc_auc", prefer_cheaper=False),
        bootstrap=Resampling(resamples=200, seed=0),
    )
    assert json.loads((best / "choice.json").read_text()) == selected
    assert selected["scores"] == kind
    assert bundle.model_json(best)["name"] == selected["model"]
    assert not (best / "members").exists()
