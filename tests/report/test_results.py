"""What the stage reads: refused where it is missing or does not fit, with the remedy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_report import MODELS, read

from pneumo.errors import ManifestError, RecordError
from pneumo.models.curves import CURVES


def _drop(key: str, path: Path) -> None:
    content = json.loads(path.read_text())
    del content[key]
    path.write_text(json.dumps(content))


def _other_model(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model": "vgg16"}))


def _head(path: Path, rows: int) -> None:
    pd.read_csv(path).head(rows).to_csv(path, index=False)


def _rename(path: Path) -> None:
    path.write_text(path.read_text().replace("person7_", "person777_"))


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda r: (r / "scores/test/cnn.csv").unlink(), RecordError, ["scores/test/cnn.csv", "dvc repro"]),
        (lambda r: _head(r / "scores/test/cnn.csv", 90), RecordError, ["cnn.csv", "has 90 images", "of 100"]),
        (lambda r: _head(r / "scores/test/cnn.csv", 30), RecordError, ["cnn.csv", "[0]", "both 0 and 1"]),
        (lambda r: _rename(r / "scores/test/cnn.csv"), ManifestError, ["cnn", "not of the same images"]),
        (lambda r: (r / "scores/shortcut/test.csv").unlink(), RecordError, ["shortcut/test.csv"]),
        (lambda r: (r / "metrics/cnn.json").unlink(), RecordError, ["cnn.json", "dvc repro evaluate@cnn"]),
        (lambda r: (r / "metrics/cnn.json").write_text("{"), RecordError, ["cnn.json", "not JSON"]),
        (lambda r: (r / "metrics/cnn.json").write_text("[]"), RecordError, ["cnn.json", "list"]),
        (lambda r: _drop("f1", r / "metrics/cnn.json"), RecordError, ["cnn.json", "'f1'", "evaluate@cnn"]),
        (lambda r: _drop("reason", r / "models/best/choice.json"), RecordError, ["choice.json", "'reason'"]),
        (lambda r: (r / "metrics/data.json").unlink(), RecordError, ["data.json", "dvc repro audit"]),
        (
            lambda r: (r / "scores/suspected_labels.csv").unlink(),
            RecordError,
            ["suspected_labels.csv", "dvc repro audit"],
        ),
        (lambda r: (r / "data/audit/shift.csv").unlink(), RecordError, ["shift.csv", "dvc repro audit"]),
        (lambda r: (r / "reports/explain/explain.json").unlink(), RecordError, ["explain.json", "dvc repro explain"]),
        (lambda r: shutil.rmtree(r / "reports/ablation"), RecordError, ["ablation.json", "dvc repro ablation"]),
        (lambda r: _drop("covers", r / "reports/ablation/ablation.json"), RecordError, ["'covers'", "repro ablation"]),
        (lambda r: _other_model(r / "reports/ablation/ablation.json"), RecordError, ["ablation last ran for vgg16"]),
        (
            lambda r: (r / "metrics/external/there.json").unlink(),
            RecordError,
            ["external/there.json", "dvc repro evaluate_external@there"],
        ),
        (lambda r: shutil.rmtree(r / "dvclive/cnn"), RecordError, ["train/loss.tsv", "train@cnn"]),
        (
            lambda r: (r / "dvclive/cnn/plots/metrics/val/roc_auc.tsv").write_text("step\tauc\n0\t1\n"),
            RecordError,
            ["val/roc_auc.tsv", "step and roc_auc", "step, auc"],
        ),
    ],
)
def test_an_input_that_is_missing_or_does_not_fit_is_named_with_the_remedy(
    copied: Path, spoil: Callable[[Path], Any], error: type[Exception], words: list[str]
) -> None:
    spoil(copied)
    with pytest.raises(error) as caught:
        read(copied)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("names", [MODELS[1:], (*MODELS, "vgg16")], ids=["fewer", "more"])
def test_a_selection_among_other_backbones_is_refused(inputs: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(RecordError, match="run `dvc repro export`"):
        read(inputs, names)


def test_of_an_epoch_that_ran_again_the_last_row_counts(copied: Path) -> None:
    for name in CURVES.values():
        path = copied / f"dvclive/resnet50/plots/metrics/{name}.tsv"
        path.write_text(f"step\t{path.stem}\n0\t0.5\n1\t0.7\n1\t0.75\n")
    history = read(copied).history
    history = history[history["model"] == "resnet50"]
    assert history["epoch"].tolist() == [0, 1]
    assert history["val_roc_auc"].tolist() == [0.5, 0.75]
