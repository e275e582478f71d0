"""What the report stage writes, from made-up scores, metrics and training curves."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from pneumo import figures, metrics, report, scores
from pneumo.errors import BundleError, ManifestError

SIX = ("cnn", "vgg16", "vgg19", "inceptionv3", "resnet50", "densenet121")
FIGURES = ("roc", "precision_recall", "confusion", "training", "scores")


def make(root: Path, names: Sequence[str], *, n: int = 100, source: str = "phantom", weights: str = "none") -> Path:
    """The inputs of the stage for `names`, the last of which is the chosen one."""
    labels = (np.arange(n) >= 0.375 * n).astype(int)
    subtype = np.where(labels == 0, "normal", np.where(np.arange(n) < 0.76 * n, "bacterial", "viral"))
    candidates = []
    for rank, name in enumerate(names):
        rng = np.random.default_rng(rank)
        logit = rng.normal(0, 1.6, n) + np.where(labels == 1, 2.0 + 0.3 * rank, -1.6)
        table = pd.DataFrame(
            {
                "image": [f"test/{i:04d}.jpeg" for i in range(n)],
                "patient": [f"p-{i}" for i in range(n)],
                "label": labels,
                "subtype": subtype,
                "score": 1 / (1 + np.exp(-logit)),
                "logit": logit,
            }
        )
        scores.write(table, root / f"scores/test/{name}.csv")
        table = scores.read(root / f"scores/test/{name}.csv")
        threshold = 0.3 + 0.08 * rank
        result = metrics.evaluate(table, threshold, temperature=1.0, prevalence=0.1, resamples=200, seed=0)
        _dump(root / f"metrics/{name}.json", {**result, "weights": weights, "detail": {"bacterial": 0.9}})
        candidate = {"model": name, "kind": "backbone", "roc_auc": 0.9 + 0.012 * rank, "p_best": 0.5}
        candidate |= {"parameters": 10 ** (rank + 2) + rank, "difference": 0.0, "difference_ci95": [-0.01, 0.01]}
        candidates.append(candidate)
        _curves(root / f"dvclive/{name}/plots/metrics", rng, 12)
    chosen = candidates[-1]["model"]
    reason = f"{chosen} has the highest ROC AUC on 87 validation images: {candidates[-1]['roc_auc']:.4f}."
    choice = {"model": chosen, "metric": "roc_auc", "reason": reason, "candidates": candidates[::-1]}
    choice |= {"resamples": 2000, "patients": 60}
    _dump(root / "models/best/choice.json", choice)
    _dump(root / "metrics/data.json", {"source": source, "images": {"test": n}})
    return root


def _curves(folder: Path, rng: np.random.Generator, epochs: int) -> None:
    step = np.arange(epochs)
    values = {
        "train/loss": 0.7 * np.exp(-step / 4) + rng.normal(0, 0.01, epochs) + 0.03,
        "val/loss": 0.6 * np.exp(-step / 3) + rng.normal(0, 0.02, epochs) + 0.15 + 0.01 * step,
        "val/roc_auc": 1 - 0.35 * np.exp(-step / 3) - rng.uniform(0.01, 0.05, epochs),
    }
    for name, value in values.items():
        path = folder / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"step": step, path.stem: value}).to_csv(path, sep="\t", index=False)


def _dump(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write(root: Path, names: Sequence[str], out: str = "reports") -> Path:
    report.write(
        names,
        best=root / "models/best",
        scores=root / "scores",
        metrics=root / "metrics",
        curves=root / "dvclive",
        data=root / "metrics/data.json",
        out=root / out,
        winner=root / "metrics/best.json",
    )
    return root / out


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with six backbones whose report is written. Tests read it only."""
    root = make(tmp_path_factory.mktemp("six"), SIX)
    write(root, SIX)
    return root


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return make(tmp_path, ["resnet50"])


def test_all_outputs_are_there_and_small(six: Path) -> None:
    written = files(six / "reports")
    assert set(written) == {
        "report.md",
        *(f"figures/{name}.png" for name in FIGURES),
        *(f"plots/{name}.csv" for name in ("roc", "precision_recall", "confusion", "training")),
    }
    assert all(0 < len(content) < 300_000 for content in written.values())
    assert all(written[f"figures/{name}.png"].startswith(b"\x89PNG") for name in FIGURES)


def test_same_inputs_give_the_same_bytes_whatever_matplotlibrc_says(one: Path) -> None:
    first = files(write(one, ["resnet50"]))
    with mpl.rc_context({"lines.linewidth": 5, "font.size": 20, "savefig.facecolor": "red"}):
        assert files(write(one, ["resnet50"], "again")) == first
    assert not any(str(one).encode() in content or b"matplotlib" in content for content in first.values())


def test_files_of_other_backbones_change_nothing(one: Path) -> None:
    before = files(write(one, ["resnet50"]))
    choice = (one / "models/best/choice.json").read_text()
    make(one, ["vgg16", "cnn", "resnet50"])
    make(one, ["resnet50"])
    assert (one / "models/best/choice.json").read_text() == choice
    (one / "metrics/inceptionv3.json").write_text("left over, and broken")
    assert (one / "scores/test/vgg16.csv").is_file()
    assert files(write(one, ["resnet50"], "again")) == before


def test_a_file_linked_to_the_cache_of_dvc_is_replaced_not_written_into(one: Path) -> None:
    out = write(one, ["resnet50"])
    shutil.copy(out / "report.md", one / "cached")
    (out / "report.md").unlink()
    (out / "report.md").hardlink_to(one / "cached")
    (one / "metrics/data.json").write_text('{"source": "archive"}')
    before = (one / "cached").read_bytes()
    assert files(write(one, ["resnet50"]))["report.md"] != before
    assert (one / "cached").read_bytes() == before


def test_best_json_is_the_metrics_of_the_chosen_backbone_and_its_name(six: Path) -> None:
    best = json.loads((six / "metrics/best.json").read_text())
    assert next(iter(best)) == "model"
    assert best == {"model": "densenet121", **json.loads((six / "metrics/densenet121.json").read_text())}


def test_the_page_opens_with_the_verdict_and_shows_every_backbone_and_figure(six: Path) -> None:
    page = (six / "reports/report.md").read_text()
    verdict = page.split("\n\n")[1].replace("\n", " ")
    assert verdict.startswith("**densenet121** (from scratch) is chosen: densenet121 has the highest ROC AUC on")
    for name in SIX:
        auc = json.loads((six / f"metrics/{name}.json").read_text())["roc_auc"]
        assert any(name in row and f" {auc:.3f} " in row for row in page.splitlines()), name
    assert "1,000,004" in page, "parameters of resnet50"
    assert all((six / "reports" / f"figures/{name}.png").is_file() for name in FIGURES)
    assert all(f"](figures/{name}.png)" in page for name in FIGURES)
    assert max(map(len, page.splitlines())) <= 110


@pytest.mark.parametrize(
    ("source", "n", "weights", "said", "unsaid"),
    [
        ("phantom", 624, "none", ["phantom images", "mean nothing clinically", "from scratch"], ["Here ("]),
        ("archive", 100, "none", ["These 100 test images are others", "from scratch"], ["Here (", "phantom"]),
        ("kaggle", 624, "imagenet", ["Here (ImageNet): accuracy "], ["phantom", "from scratch"]),
        ("kaggle", 624, "/somewhere/own.safetensors", ["Here (own.safetensors):"], ["somewhere"]),
    ],
)
def test_the_published_line_is_compared_only_where_it_can_be(
    source: str, n: int, weights: str, said: list[str], unsaid: list[str]
) -> None:
    result = dict.fromkeys(report.METRICS, 0.95) | {"n": n, "threshold": 0.5, "weights": weights}
    result |= {"tp": n - 40, "fn": 10, "tn": 20, "fp": 10, "ci95": {"accuracy": [0.91, 0.97]}}
    result |= dict.fromkeys(report.CALIBRATION, 0.1) | {"uncalibrated": {"brier": 0.2, "ece": None}}
    result |= {"at_half": result, "oracle": result | {"accuracy_threshold": 0.4, "f1_threshold": 0.3}}
    choice = {"model": "cnn", "metric": "roc_auc", "reason": "It is alone.", "resamples": 2000, "patients": 9}
    candidate = {"model": "cnn", "roc_auc": 0.9, "parameters": 5, "p_best": 1.0}
    choice["candidates"] = [candidate | {"difference": 0.0, "difference_ci95": [0.0, 0.0]}]
    page = " ".join(report._page(choice, {"cnn": result}, {"source": source}).split())
    assert "accuracy 0.93, recall 0.98, precision 0.91, F1 0.94" in page
    assert all(words in page for words in said)
    assert not any(words in page for words in unsaid)


def test_plot_data_hold_the_curves_of_all_and_the_confusion_of_the_chosen(six: Path) -> None:
    plots = {path.stem: pd.read_csv(path) for path in (six / "reports/plots").iterdir()}
    assert list(plots["roc"]) == ["model", "fpr", "tpr", "threshold"]
    assert list(plots["precision_recall"]) == ["model", "recall", "precision", "threshold"]
    assert list(plots["training"]) == ["model", "epoch", "train_loss", "val_loss", "val_roc_auc"]
    assert all(set(plots[name]["model"]) == set(SIX) for name in ("roc", "precision_recall", "training"))
    for name, curve in plots["roc"].groupby("model"):
        expected = json.loads((six / f"metrics/{name}.json").read_text())
        assert np.trapezoid(curve["tpr"], curve["fpr"]) == pytest.approx(expected["roc_auc"], abs=1e-5)
    assert not (six / "reports/plots/roc.csv").read_text().count("inf")
    best = json.loads((six / "metrics/best.json").read_text())
    confusion = plots["confusion"]
    assert set(confusion["model"]) == {"densenet121"}
    counts = confusion.groupby(["actual", "predicted"]).size()
    assert counts["pneumonia", "pneumonia"] == best["tp"]
    assert counts["normal", "pneumonia"] == best["fp"]


def _drop(key: str, path: Path) -> None:
    content = json.loads(path.read_text())
    del content[key]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda r: (r / "scores/test/cnn.csv").unlink(), ManifestError, ["scores/test/cnn.csv", "dvc repro"]),
        (lambda r: _keep(r / "scores/test/cnn.csv", 90), ManifestError, ["cnn.csv", "has 90 images", "of 100"]),
        (lambda r: _keep(r / "scores/test/cnn.csv", 30), ManifestError, ["cnn.csv", "[0]", "both 0 and 1"]),
        (lambda r: _rename(r / "scores/test/cnn.csv"), ManifestError, ["cnn.csv", "not of the same images"]),
        (lambda r: (r / "metrics/cnn.json").unlink(), BundleError, ["cnn.json", "dvc repro evaluate@cnn"]),
        (lambda r: (r / "metrics/cnn.json").write_text("{"), BundleError, ["cnn.json", "not JSON"]),
        (lambda r: (r / "metrics/cnn.json").write_text("[]"), BundleError, ["cnn.json", "list"]),
        (lambda r: _drop("f1", r / "metrics/cnn.json"), BundleError, ["cnn.json", "'f1'", "--force"]),
        (lambda r: _drop("reason", r / "models/best/choice.json"), BundleError, ["choice.json", "'reason'"]),
        (lambda r: (r / "metrics/data.json").unlink(), BundleError, ["data.json", "dvc repro preprocess"]),
        (lambda r: shutil.rmtree(r / "dvclive/cnn"), BundleError, ["train/loss.tsv", "train@cnn"]),
        (
            lambda r: (r / "dvclive/cnn/plots/metrics/val/roc_auc.tsv").write_text("step\tauc\n0\t1\n"),
            BundleError,
            ["val/roc_auc.tsv", "step and roc_auc", "step, auc"],
        ),
    ],
)
def test_an_input_that_is_missing_or_does_not_fit_is_named_with_the_remedy(
    tmp_path: Path, spoil: Callable[[Path], Any], error: type[Exception], words: list[str]
) -> None:
    make(tmp_path, ["cnn", "resnet50"])
    spoil(tmp_path)
    with pytest.raises(error) as caught:
        write(tmp_path, ["cnn", "resnet50"])
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert not (tmp_path / "reports").exists(), "nothing is half written"


def _keep(path: Path, rows: int) -> None:
    pd.read_csv(path).head(rows).to_csv(path, index=False)


def _rename(path: Path) -> None:
    path.write_text(path.read_text().replace("0007.jpeg", "0007b.jpeg"))


@pytest.mark.parametrize("names", [["resnet50"], ["cnn", "vgg16", "resnet50"]])
def test_a_choice_among_other_backbones_is_refused(tmp_path: Path, names: list[str]) -> None:
    make(tmp_path, ["cnn", "vgg16"])
    with pytest.raises(BundleError, match="run `dvc repro select_best`"):
        write(tmp_path, names)


def test_of_an_epoch_that_ran_again_the_last_row_counts(one: Path) -> None:
    for name in ("train/loss", "val/loss", "val/roc_auc"):
        path = one / f"dvclive/resnet50/plots/metrics/{name}.tsv"
        path.write_text(f"step\t{path.stem}\n0\t0.5\n1\t0.7\n1\t0.75\n")
    history = pd.read_csv(write(one, ["resnet50"]) / "plots/training.csv")
    assert history["epoch"].tolist() == [0, 1]
    assert history["val_roc_auc"].tolist() == [0.5, 0.75]


def test_a_backbone_has_the_same_colour_in_any_company() -> None:
    everyone = figures.palette([*SIX, "mine"])
    assert all(figures.palette([name]) == {name: everyone[name]} for name in everyone)
    assert len(set(everyone.values())) == 7
    assert len(set(figures.palette(["a", "b", "c", "d", "e"]).values())) == 5
