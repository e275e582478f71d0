import json
import re

import numpy as np
import pytest
from made_scores import NOISE, drawn_scores

from pneumo.errors import ManifestError
from pneumo.evaluation import choice, metrics, thresholds
from pneumo.evaluation.select_best import select_best
from pneumo.evaluation.selected import scores_of
from pneumo.models import bundle
from pneumo.params import Resampling, Select, Threshold

SETTINGS = {"prefer_cheaper": False, "resamples": 500, "seed": 0}
YOUDEN = Threshold(scores="plain", policy="youden", value=None, error_rates=[0.05])
CHEAPER = SETTINGS | {"prefer_cheaper": True}
GOOD, ALIKE, BAD = drawn_scores(0.8), drawn_scores(0.82, seed=9), drawn_scores(6.0, seed=1)


def choose(tables, model_jsons, metric, **settings):
    """With one seed of each."""
    return choice.choose({name: [name] for name in tables}, tables, model_jsons, metric, **settings)


def model_json(parameters: int, flops: int = 1) -> dict:
    return {"threshold": 0.5, "parameters": parameters, "flops": flops, "kind": "backbone"}


def test_the_clear_winner_is_chosen():
    selected = choose({"a": BAD, "b": GOOD}, {"a": model_json(1), "b": model_json(9)}, "roc_auc", **SETTINGS)
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
            r"a has the highest validation ROC AUC, 0\.\d{4}, and wins 100% of the draws of patients; no other "
            r"candidate is within noise of it\.",
        ),
        (
            {"a": GOOD, "b": ALIKE},
            [9, 1],
            False,
            "a",
            r"a has .* and wins \d\d% of the draws of patients; b is within noise of it\.",
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
            r"a has .* patients, but b is within noise of it\. Of these, b \(ROC AUC 0\.\d{4}\) is the cheapest, with "
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
    selected = choose(tables, model_jsons, "roc_auc", **SETTINGS | {"prefer_cheaper": prefer_cheaper})
    assert selected["model"] == winner
    assert re.fullmatch(reason, selected["reason"]), selected["reason"]


def test_the_reason_names_scores_under_stress():
    selected = choose({"a": GOOD}, {"a": model_json(1)}, "f1", **SETTINGS, scores_kind="stress")
    assert selected["scores"] == "stress"
    assert "validation F1 under stress is" in selected["reason"]


def test_of_equals_the_one_with_fewer_parameters_then_operations_comes_first():
    model_jsons = {"a": model_json(5, 7), "b": model_json(5, 3), "c": model_json(6, 1)}
    candidates = choose(dict.fromkeys("abc", GOOD), model_jsons, "accuracy", **SETTINGS)["candidates"]
    assert [candidate["model"] for candidate in candidates] == ["b", "a", "c"]
    assert [candidate["p_best"] for candidate in candidates] == pytest.approx([1 / 3] * 3, abs=1e-6)
    assert candidates[1]["difference_ci95"] == [None, None], "no spread, so nothing can be said"
    assert candidates[1]["within_noise"]


def test_another_candidate_changes_no_interval_of_the_first_two():
    model_jsons = {name: model_json(1) for name in "abc"}
    tables = {"a": GOOD, "b": BAD, "c": BAD.assign(score=0.5)}
    two = choose({name: tables[name] for name in "ab"}, model_jsons, "roc_auc", **SETTINGS)["candidates"]
    three = choose(tables, model_jsons, "roc_auc", **SETTINGS)["candidates"]
    assert [candidate["difference_ci95"] for candidate in three[:2]] == [row["difference_ci95"] for row in two]


def test_scores_of_other_images_cannot_be_compared():
    with pytest.raises(ManifestError, match="not of the same images"):
        choose({"a": GOOD, "b": GOOD.iloc[:-1]}, {"a": model_json(1), "b": model_json(1)}, "roc_auc", **SETTINGS)


@pytest.mark.parametrize("kind", ["plain", "stress"])
def test_the_best_model_is_copied_with_the_reason_for_its_choice(calibrated, tmp_path, kind):
    folders = {name: calibrated / "models/trained" / name for name in NOISE}
    best = tmp_path / "best"
    (best / "members").mkdir(parents=True)  # of an earlier winner
    selected = select_best(
        {name: [name] for name in folders},
        folders,
        calibrated / "scores",
        best,
        select=Select(scores=kind, metric="roc_auc", prefer_cheaper=False, replicate="median"),
        bootstrap=Resampling(resamples=200, seed=0),
        threshold=YOUDEN,
    )
    assert json.loads((best / "choice.json").read_text()) == selected
    assert selected["scores"] == kind
    assert selected["reason"].endswith("One seed: how much training noise adds is unknown; train.seeds=3 measures it.")
    assert bundle.model_json(best)["name"] == selected["model"]
    assert not (best / "members").exists()


SEEDS = {"cnn": ["cnn", "cnn-1", "cnn-2"], "vgg16": ["vgg16", "vgg16-1", "vgg16-2"]}


def of_seeds(noise: dict) -> tuple[dict, dict]:
    """Scores and model.json of SEEDS. `noise`: of each candidate, for each seed."""
    tables = {
        model: drawn_scores(each, seed=place)
        for name, models in SEEDS.items()
        for place, (model, each) in enumerate(zip(models, noise[name], strict=True))
    }
    return tables, {model: model_json(1) for model in tables}


def test_candidates_with_several_seeds_are_compared_by_their_means():
    tables, model_jsons = of_seeds({"cnn": (0.8, 1.0, 1.2), "vgg16": (0.7, 4.0, 5.0)})
    selected = choice.choose(SEEDS, tables, model_jsons, "roc_auc", **SETTINGS)
    first, second = selected["candidates"]
    assert selected["model"] == first["model"] == "cnn", "not the one that has the best seed"
    of_models = {name: metrics.ranking(table["label"], table["score"])["roc_auc"] for name, table in tables.items()}
    assert second["replicates"] == {name: of_models[name] for name in SEEDS["vgg16"]}
    assert second["roc_auc"] == pytest.approx(np.mean([*second["replicates"].values()]), abs=1e-6)
    assert second["sd"] == pytest.approx(np.std([*second["replicates"].values()], ddof=1), abs=1e-6)
    assert "mean validation ROC AUC" in selected["reason"]
    assert "between 3 seeds) and wins" in selected["reason"].replace("),", ")")
    assert "draws of patients and seeds" in selected["reason"]


def test_a_spread_between_seeds_puts_a_difference_within_noise():
    """By patients alone it is beyond noise: the same three networks, each as a candidate of one seed."""
    tables, model_jsons = of_seeds({"cnn": (0.8, 0.8, 0.8), "vgg16": (0.7, 1.2, 3.5)})
    one = {"cnn": ["cnn"], "vgg16": ["vgg16-2"]}
    alone = {name: tables[name] for (name,) in one.values()}
    assert not choice.choose(one, alone, model_jsons, "roc_auc", **SETTINGS)["candidates"][1]["within_noise"]
    selected = choice.choose(SEEDS, tables, model_jsons, "roc_auc", **SETTINGS)
    assert selected["candidates"][1]["within_noise"]
    assert 0.01 < selected["candidates"][1]["p_best"] < 0.5


@pytest.mark.parametrize(("seeds", "expected"), [(3, "cnn-1"), (2, "cnn-1")])
def test_the_median_replicate_is_never_the_best_one(seeds, expected):
    tables, model_jsons = of_seeds({"cnn": (0.5, 1.0, 3.0), "vgg16": (1.0, 1.0, 1.0)})
    assert choice.median_replicate(SEEDS["cnn"][:seeds], tables, model_jsons, "roc_auc") == expected


@pytest.mark.parametrize("replicate", ["median", "ensemble"])
def test_models_best_is_the_median_replicate_or_the_ensemble_over_seeds(calibrated, tmp_path, replicate):
    folders = {name: calibrated / "models/trained" / name for name in NOISE}
    names, best = list(NOISE), tmp_path / "best"
    selected = select_best(
        {"one": names},  # as if these were three seeds of a backbone
        folders,
        calibrated / "scores",
        best,
        select=Select(scores="plain", metric="roc_auc", prefer_cheaper=False, replicate=replicate),
        bootstrap=Resampling(resamples=200, seed=0),
        threshold=YOUDEN,
    )
    in_best = bundle.model_json(best)
    assert (selected["model"], selected["replicate"]) == ("one", in_best["name"])
    of_models = selected["candidates"][0]["replicates"]
    if replicate == "median":
        assert in_best["name"] == sorted(of_models, key=of_models.get)[1]
        assert selected["reason"].endswith("the replicate with the median of the 3 validation scores.")
    else:
        assert in_best["name"] == "one-seeds"
        assert list(in_best["members"]) == names
        assert sorted(path.name for path in (best / "members").iterdir()) == sorted(names)
        scored = scores_of(best, calibrated / "scores/val")
        assert in_best["threshold"] == thresholds.find(scored["label"], scored["score"], "youden")
