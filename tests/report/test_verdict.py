import pytest

from pneumo.report import verdict
from pneumo.report.results import Results


def results_of(source: str, n: int, weights: str) -> Results:
    metrics = {"n": n, "weights": weights, "accuracy": 0.95, "recall": 0.95, "precision": 0.95, "f1": 0.95}
    metrics["ci95"] = {"accuracy": [0.94, 0.96], "recall": [0.9, 0.97], "precision": [0.9, 0.97], "f1": [None, None]}
    fields = dict.fromkeys(Results.__dataclass_fields__)
    return Results(
        **fields
        | {
            "choice": {"model": "cnn"},
            "metrics": {"cnn": metrics},
            "figures": {"cnn": metrics},
            "data": {"source": source},
        }
    )


@pytest.mark.parametrize(
    ("source", "n", "weights", "says", "says_not"),
    [
        ("phantom", 624, "none", ["phantom images", "no clinical meaning"], ["Here"]),
        ("archive", 100, "none", ["These 100 test images are different ones"], ["Here", "phantom"]),
        ("kaggle", 624, "imagenet", ["Here (ImageNet), accuracy (+0.020) is above it; "], ["phantom", "scratch"]),
        (
            "kaggle",
            624,
            "none",
            ["recall (-0.030) is below it", "precision (+0.040), F1 (+0.010) are indistinguishable from it"],
            [],
        ),
        ("kaggle", 624, "/somewhere/own.safetensors", ["Here (own.safetensors),"], ["somewhere"]),
    ],
)
def test_the_published_line_is_compared_only_where_it_can_be(
    source: str, n: int, weights: str, says: list[str], says_not: list[str]
) -> None:
    (line,) = verdict.line_to_beat(results_of(source, n, weights))
    assert "accuracy 0.93, recall 0.98, precision 0.91, F1 0.94" in line
    assert all(words in line for words in says), line
    assert not any(words in line for words in says_not), line
