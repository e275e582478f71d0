import numpy as np
import pandas as pd
import pytest

from pneumo.errors import ManifestError
from pneumo.evaluation import choice

SETTINGS = {"prefer_cheaper": False, "resamples": 500, "seed": 0}


def model_json(parameters: int, flops: int = 1, kind: str = "backbone") -> dict:
    return {"threshold": 0.5, "parameters": parameters, "flops": flops, "kind": kind}


def table(noise: float, seed: int = 0, n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2
    logit = 2.0 * label - 1 + rng.normal(0, noise, n)
    rows = {"image": [f"{i:03}" for i in range(n)], "patient": [f"p{i // 2}" for i in range(n)], "label": label}
    return pd.DataFrame(rows | {"subtype": "unknown", "score": 1 / (1 + np.exp(-logit)), "logit": logit})


GOOD, ALIKE, BAD = table(0.8), table(0.82, seed=9), table(6.0, seed=1)


def test_the_clear_winner_is_named_and_the_others_are_worse_by_more_than_noise():
    found = choice.choose({"a": BAD, "b": GOOD}, {"a": model_json(1), "b": model_json(9)}, "roc_auc", **SETTINGS)
    assert found["model"] == "b"
    assert found["reason"].endswith(
        "(it wins 100% of the resamples of patients), and every other candidate is worse by more than noise."
    )
    assert [one["within_noise"] for one in found["candidates"]] == [True, False]
    assert found["candidates"][1]["difference_ci95"][1] < 0
    assert found["patients"] == 100


@pytest.mark.parametrize(
    ("prefer_cheaper", "parameters", "winner", "says"),
    [
        (False, (9, 1), "a", "a has the highest validation ROC AUC"),
        (True, (9, 1), "b", "but b is within noise of it; of these, b"),
        (True, (1, 9), "a", "none of these is cheaper than its 1 parameters"),
    ],
)
def test_within_noise_of_the_best_the_cheaper_one_is_taken_when_asked_for(prefer_cheaper, parameters, winner, says):
    model_jsons = {name: model_json(count) for name, count in zip("ab", parameters, strict=True)}
    settings = SETTINGS | {"prefer_cheaper": prefer_cheaper}
    found = choice.choose({"a": GOOD, "b": ALIKE}, model_jsons, "roc_auc", **settings)
    assert found["model"] == winner
    assert says in found["reason"]


def test_a_cheap_candidate_outside_the_noise_is_not_taken():
    model_jsons = {"a": model_json(9), "b": model_json(1)}
    assert (
        choice.choose({"a": GOOD, "b": BAD}, model_jsons, "roc_auc", **SETTINGS | {"prefer_cheaper": True})["model"]
        == "a"
    )


def test_of_equals_the_one_with_fewer_parameters_then_operations_comes_first():
    model_jsons = {"a": model_json(5, 7), "b": model_json(5, 3), "c": model_json(6, 1)}
    found = choice.choose(dict.fromkeys("abc", GOOD), model_jsons, "accuracy", **SETTINGS)
    assert [one["model"] for one in found["candidates"]] == ["b", "a", "c"]
    assert [one["p_best"] for one in found["candidates"]] == pytest.approx([1 / 3] * 3, abs=1e-6)
    assert found["candidates"][1]["difference_ci95"] == [0, 0]


def test_another_candidate_changes_no_number_of_the_first_two():
    model_jsons = {name: model_json(1) for name in "abc"}
    two = choice.choose({"a": GOOD, "b": BAD}, model_jsons, "roc_auc", **SETTINGS)["candidates"]
    three = choice.choose({"a": GOOD, "b": BAD, "c": BAD.assign(score=0.5)}, model_jsons, "roc_auc", **SETTINGS)
    assert [one["difference_ci95"] for one in three["candidates"][:2]] == [one["difference_ci95"] for one in two]


def test_a_single_candidate_is_chosen_and_said_to_be_alone():
    found = choice.choose({"a": GOOD}, {"a": model_json(1)}, "f1", **SETTINGS)
    assert found["reason"].startswith("a is the only candidate: validation F1 0.")
    assert found["candidates"][0]["p_best"] == 1


def test_scores_of_other_images_cannot_be_compared():
    with pytest.raises(ManifestError, match="not of the same images"):
        choice.choose({"a": GOOD, "b": GOOD.iloc[:-1]}, {"a": model_json(1), "b": model_json(1)}, "roc_auc", **SETTINGS)
