"""What the stage writes, and that it depends on its inputs alone."""

import json
import shutil
from pathlib import Path

import matplotlib as mpl
import pytest
from made_report import MODELS, contents, write

FIGURES = (
    "stress_ranking",
    "stress_decisions",
    "roc",
    "roc_corner",
    "precision_recall",
    "decision_curve",
    "risk_coverage",
    "training",
    "scores",
    "feature_shift",
    *(f"reliability_{name}" for name in MODELS),
)
LINKED = ("report.md", "index.html", "figures/roc.svg", "plots/roc.csv")


@pytest.fixture(scope="module")
def again(reported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report written once more: elsewhere, under another matplotlibrc, beside files of other backbones, and over
    files that are linked to the cache of DVC, which is `cached`.
    """
    root = shutil.copytree(reported, tmp_path_factory.mktemp("again") / "project")
    (root / "metrics/inceptionv3.json").write_text("left over, and broken")
    shutil.copy(root / "scores/test/cnn.csv", root / "scores/test/vgg16.csv")
    for name in LINKED:
        cached = root / "cached" / name
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_text("of an earlier run")
        (root / "reports" / name).unlink()
        (root / "reports" / name).hardlink_to(cached)
    with mpl.rc_context({"lines.linewidth": 5, "font.size": 20, "savefig.facecolor": "red", "svg.hashsalt": "x"}):
        write(root)
    return root


def test_all_outputs_are_there_and_small(reported: Path) -> None:
    written = contents(reported / "reports")
    assert set(written) == {
        "index.html",
        "report.md",
        "MODEL_CARD.md",
        *(f"figures/{name}.svg" for name in FIGURES),
        *(f"plots/{name}.csv" for name in ("roc", "precision_recall", "risk_coverage", "confusion", "training")),
    }
    assert all(0 < len(content) < 400_000 for name, content in written.items() if name != "index.html")


def test_same_inputs_give_the_same_bytes(reported: Path, again: Path) -> None:
    first = contents(reported / "reports")
    assert contents(again / "reports") == first
    assert not any(str(reported).encode() in content or b"matplotlib v" in content for content in first.values())


@pytest.mark.parametrize("name", LINKED)
def test_a_file_linked_to_the_cache_of_dvc_is_replaced_not_written_into(again: Path, name: str) -> None:
    assert (again / "cached" / name).read_text() == "of an earlier run"
    assert not (again / "reports" / name).samefile(again / "cached" / name)


def test_best_json_is_the_metrics_of_the_selected_model_and_its_name(reported: Path) -> None:
    best = json.loads((reported / "metrics/best.json").read_text())
    assert next(iter(best)) == "model"
    assert best == {"model": "densenet121", **json.loads((reported / "metrics/densenet121.json").read_text())}
