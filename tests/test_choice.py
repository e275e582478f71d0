import pandas as pd
import pytest

from pneumo import choice


def scores(values) -> pd.DataFrame:
    return pd.DataFrame({"label": [0, 0, 1, 1], "score": values})


GOOD, FAIR = scores([0.1, 0.2, 0.8, 0.9]), scores([0.1, 0.8, 0.7, 0.9])
SMALL, LARGE = {"threshold": 0.5, "parameters": 10}, {"threshold": 0.5, "parameters": 99}


@pytest.mark.parametrize(
    ("validation", "contracts", "winner", "reason"),
    [
        (
            {"a": FAIR, "b": GOOD},
            {"a": SMALL, "b": LARGE},
            "b",
            "highest ROC AUC on 4 validation images: 1.0000, before a",
        ),
        ({"a": GOOD, "b": GOOD}, {"a": LARGE, "b": SMALL}, "b", "b has fewer parameters"),
        ({"a": FAIR}, {"a": LARGE}, "a", "the only backbone"),
    ],
)
def test_the_best_on_validation_wins_and_says_why(validation, contracts, winner, reason):
    decision = choice.choose(validation, contracts, "roc_auc")
    assert decision["model"] == winner
    assert reason in decision["reason"]
    assert {one["model"] for one in decision["candidates"]} == set(validation)


def test_the_metric_decides():
    cautious = scores([0.4, 0.45, 0.42, 0.9])  # worse order, but nothing falsely called at 0.5
    validation, contracts = {"a": cautious, "b": scores([0.55, 0.1, 0.6, 0.9])}, {"a": SMALL, "b": LARGE}
    assert choice.choose(validation, contracts, "specificity")["model"] == "a"
    assert choice.choose(validation, contracts, "roc_auc")["model"] == "b"
