import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_report import MODELS
from sklearn.metrics import precision_recall_curve, roc_curve

from pneumo.models.curves import CURVES
from pneumo.report import plots


def test_plot_data_hold_the_curves_of_all_and_the_confusion_of_the_selected_model(reported: Path) -> None:
    tables = {path.stem: pd.read_csv(path) for path in (reported / "reports/plots").iterdir()}
    assert list(tables["roc"]) == ["model", "fpr", "tpr", "threshold"]
    assert list(tables["precision_recall"]) == ["model", "recall", "precision", "threshold"]
    assert list(tables["training"]) == ["model", "epoch", *CURVES]
    assert all(set(tables[name]["model"]) == set(MODELS) for name in ("roc", "precision_recall", "training"))
    for name, curve in tables["roc"].groupby("model"):
        expected = json.loads((reported / f"metrics/{name}.json").read_text())
        assert np.trapezoid(curve["tpr"], curve["fpr"]) == pytest.approx(expected["roc_auc"], abs=1e-5)
    assert not (reported / "reports/plots/roc.csv").read_text().count("inf")
    best = json.loads((reported / "metrics/best.json").read_text())
    confusion = tables["confusion"]
    assert set(confusion["model"]) == {"densenet121"}
    calls = confusion.groupby(["actual", "predicted"]).size().to_dict()
    cells = {("pneumonia", "pneumonia"): "tp", ("normal", "pneumonia"): "fp", ("normal", "normal"): "tn"}
    assert {cell: calls.get(cell, 0) for cell in cells} == {cell: best[key] for cell, key in cells.items()}


@pytest.mark.parametrize("n", [2, 3, 5, 40, 300])
@pytest.mark.parametrize("digits", [0, 1, 6], ids=["one score or two", "ties", "hardly a tie"])
def test_the_curves_are_those_of_scikit_learn(n: int, digits: int) -> None:
    rng = np.random.default_rng(n)
    label = np.arange(n) % 2
    scored = pd.DataFrame({"label": label, "score": (0.3 * label + rng.uniform(0, 0.7, n)).round(digits)})
    fpr, tpr, threshold = roc_curve(scored["label"], scored["score"])
    expected = pd.DataFrame({"fpr": fpr, "tpr": tpr, "threshold": [None, *threshold[1:]]})
    pd.testing.assert_frame_equal(plots.roc(scored), expected, check_exact=True)
    precision, recall, threshold = precision_recall_curve(scored["label"], scored["score"], drop_intermediate=True)
    columns = {"recall": recall, "precision": precision, "threshold": [*threshold, None]}
    expected = pd.DataFrame(columns).iloc[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(plots.precision_recall(scored), expected, check_exact=True)
