"""What the report stage writes, from made-up scores, training curves and pixels, and a real audit of these."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pneumo.audit import audit
from pneumo.data import manifest, packed
from pneumo.errors import BundleError, ManifestError
from pneumo.evaluation import choice
from pneumo.evaluation.evaluate import measure
from pneumo.evaluation.metrics import WORDS
from pneumo.models import bundle
from pneumo.models.curves import CURVES
from pneumo.models.perturbations import NAMES
from pneumo.report import report, results, verdict
from pneumo.report.figures import style
from pneumo.scoring import scores, stress

SIX = ("cnn", "vgg16", "vgg19", "inceptionv3", "resnet50", "densenet121")
FIGURES = (
    "stress_ranking",
    "stress_decisions",
    "roc",
    "roc_corner",
    "precision_recall",
    "decision_curve",
    "training",
    "scores",
    "feature_shift",
)
SETTINGS = {"prevalence": 0.1, "resamples": 200, "seed": 0}


def images(count: int, part: str, first: int) -> list[str]:
    """Names of `count` images, two in five of them normal, one patient each."""
    normal = [f"{part}/NORMAL/IM-{first + i:04}-0001.jpeg" for i in range(2 * count // 5)]
    kinds = ("bacteria", "virus")
    rest = [f"{part}/PNEUMONIA/person{first + i}_{kinds[i % 2]}_1.jpeg" for i in range(count - len(normal))]
    return normal + rest


def make(root: Path, names: Sequence[str], *, n: int = 100, source: str = "phantom", weights: str = "none") -> Path:
    """The inputs of the stage for `names`, the last of which is the chosen one; `n` test images."""
    rows = _data(root, n)
    _audit(root, source)
    tables: dict[str, dict[str, pd.DataFrame]] = {"val": {}, "test": {}}
    model_jsons = {}
    for rank, name in enumerate(names):
        rng = np.random.default_rng(rank)
        for part in ("val", "test"):
            some = rows[rows["split"] == part]
            label = some["label"].to_numpy()
            logit = rng.normal(0, 1.6, len(some)) + np.where(label == 1, 1.6 + 0.5 * rank, -1.6)
            scored = scores.table(some, logit)
            scored["score"] = scores.six_digits(1 / (1 + np.exp(-scored["logit"])))
            scores.write(scored, root / f"scores/{part}/{name}.csv")
            tables[part][name] = scores.read_scores(root / f"scores/{part}/{name}.csv")
        threshold = 0.3 + 0.08 * rank
        known = {"weights": weights, "parameters": 10 ** (rank + 2) + rank, "flops": 10**8, "input_size": 64}
        stress_logits = perturbed(tables["val"][name], rng)
        validation = {"validation": tables["val"][name], "stress": stress_logits}
        values = measure(tables["test"][name], threshold, **validation, temperature=1.0, **SETTINGS)
        files.write_json(root / f"metrics/{name}.json", values | known)
        model_jsons[name] = _contract(name, threshold, known)
        _curves(root / f"dvclive/{name}/plots/metrics", rng, 12)
    best = names[-1]
    chosen = choice.choose(tables["val"], model_jsons, "roc_auc", prefer_cheaper=False, resamples=200, seed=0)
    files.write_json(root / "models/best/choice.json", chosen | {"model": best, "reason": f"{best} it is."})
    files.write_json(root / "models/best/model.json", model_jsons[best])
    _explain(root / "reports/explain", best, tables["test"][best])
    (root / "params.yaml").write_text("select:\n  metric: roc_auc\n")
    return root


def _data(root: Path, n: int) -> pd.DataFrame:
    """data/raw, of which only the sizes matter, and data/processed, of noise."""
    names = sorted([*images(40, "train", 1000), *images(30, "val", 2000), *images(n, "test", 1)])
    rows = pd.DataFrame([vars(manifest.identify(name)) for name in names])
    rows["split"] = rows["source_split"]
    rng = np.random.default_rng(0)
    rows["width"], rows["height"] = rng.integers(900, 1400, len(rows)), rng.integers(700, 1000, len(rows))
    rows["sha256"] = rows["image"]
    for name in names:
        path = root / "data/raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(rng.integers(100, 200)))
    (root / "data/processed").mkdir(parents=True)
    manifest.write(rows, root / "data/processed/manifest.csv")
    pd.DataFrame(columns=list(manifest.REJECTED_COLUMNS)).to_csv(root / "data/processed/rejected.csv", index=False)
    with packed.Writer(root / "data/processed/images.npy", 32) as writer:
        for _ in names:
            writer.append(rng.integers(0, 255, (32, 32), dtype=np.uint8))
    return rows


def _audit(root: Path, source: str) -> None:
    raw, processed, out = root / "data/raw", root / "data/processed", root / "data/audit"
    policy = {"scores": "plain", "policy": "youden", "value": None}
    found = audit.audit(raw, processed, out, source=source, subset=None, threshold=policy, **SETTINGS)
    scores.write(found.test, root / "scores/shortcut/test.csv")
    files.write_json(root / "metrics/shortcut.json", found.shortcut)
    files.write_json(root / "metrics/data.json", found.summary)


def _contract(name: str, threshold: float, known: dict[str, Any]) -> dict[str, Any]:
    model_json = dict.fromkeys(bundle.TRAINING_KEYS) | known
    model_json |= {"name": name, "kind": "backbone", "architecture": f"{name}.a1_in1k", "temperature": 1.0}
    model_json |= {"sha256": {"manifest": "m" * 64, "weights": "w" * 64, "starting_weights": ""}}
    model_json |= {"versions": {"torch": "2.13.0"}, "threshold": threshold, "views": {"flip": False, "zooms": [1.0]}}
    return model_json | {"threshold_policy": {"policy": "youden", "value": None}}


def perturbed(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Outputs under perturbations: noisier ones."""
    noise = rng.normal(0, 0.5, (len(table), len(NAMES)))
    return stress.table(table, table["logit"].to_numpy()[:, None] + noise)


def _curves(folder: Path, rng: np.random.Generator, epochs: int) -> None:
    step = np.arange(epochs)
    values = {
        "train/loss": 0.7 * np.exp(-step / 4) + rng.normal(0, 0.01, epochs) + 0.03,
        "val/loss": 0.6 * np.exp(-step / 3) + rng.normal(0, 0.02, epochs) + 0.15 + 0.01 * step,
        "val/roc_auc": 1 - 0.35 * np.exp(-step / 3) - rng.uniform(0.01, 0.05, epochs),
        "val/stress_loss": 0.6 * np.exp(-step / 3) + 0.25,
        "val/stress_roc_auc": 0.93 - 0.35 * np.exp(-step / 3),
    }
    for name, value in values.items():
        path = folder / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"step": step, path.stem: value}).to_csv(path, sep="\t", index=False)


def _explain(folder: Path, name: str, table: pd.DataFrame) -> None:
    one = table.iloc[0]
    case = {"image": one["image"], "kind": "true_negative", "label": 0, "subtype": "normal", "patient": one["patient"]}
    case |= {"score": float(one["score"]), "file": "true_negative-1.png", "correlation": None}
    content = {"model": name, "layers": {name: {"layer": "body.18", "side": 4}}, "cases": [case]}
    files.write_json(folder / "explain.json", content | {"mean_correlation": None, "defined_correlations": 0})
    Image.new("RGB", (96, 32), "grey").save(folder / "true_negative-1.png")
    Image.new("L", (64, 64), 90).save(folder / "samples.png")


def write(root: Path, names: Sequence[str], out: str = "reports") -> Path:
    found = results.read_results(root, names)
    report.write(found, root / out, root / "metrics/best.json", resamples=200, seed=0)
    return root / out


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "explain" not in path.parts
    }


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with six backbones whose report is written. Tests read it only."""
    root = make(tmp_path_factory.mktemp("six"), SIX)
    write(root, SIX)
    return root


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The inputs for two backbones. Tests copy it."""
    return make(tmp_path_factory.mktemp("pair") / "project", ["cnn", "resnet50"])


@pytest.fixture
def two(pair: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pair, tmp_path / "project")


def test_all_outputs_are_there_and_small(six: Path) -> None:
    written = files(six / "reports")
    assert set(written) == {
        "index.html",
        "report.md",
        "MODEL_CARD.md",
        *(f"figures/{name}.svg" for name in (*FIGURES, *(f"reliability_{name}" for name in SIX))),
        *(f"plots/{name}.csv" for name in ("roc", "precision_recall", "confusion", "training")),
    }
    assert all(0 < len(content) < 400_000 for name, content in written.items() if name != "index.html")
    for name in FIGURES:
        assert ElementTree.fromstring(written[f"figures/{name}.svg"]).tag.endswith("svg")


def test_same_inputs_give_the_same_bytes_whatever_matplotlibrc_says(two: Path) -> None:
    first = files(write(two, ["cnn", "resnet50"]))
    with mpl.rc_context({"lines.linewidth": 5, "font.size": 20, "savefig.facecolor": "red", "svg.hashsalt": "x"}):
        assert files(write(two, ["cnn", "resnet50"], "again")) == first
    assert not any(str(two).encode() in content or b"matplotlib v" in content for content in first.values())


def test_files_of_other_backbones_change_nothing(two: Path) -> None:
    before = files(write(two, ["cnn", "resnet50"]))
    (two / "metrics/inceptionv3.json").write_text("left over, and broken")
    shutil.copy(two / "scores/test/cnn.csv", two / "scores/test/vgg16.csv")
    assert files(write(two, ["cnn", "resnet50"], "again")) == before


def test_a_file_linked_to_the_cache_of_dvc_is_replaced_not_written_into(two: Path) -> None:
    out = write(two, ["cnn", "resnet50"])
    for name in ("report.md", "index.html", "figures/roc.svg"):
        shutil.copy(out / name, two / "cached")
        (out / name).unlink()
        (out / name).hardlink_to(two / "cached")
        before = (two / "cached").read_bytes()
        write(two, ["cnn", "resnet50"])
        assert not (out / name).samefile(two / "cached")
        assert (two / "cached").read_bytes() == before
        (two / "cached").unlink()


def test_best_json_is_the_metrics_of_the_chosen_backbone_and_its_name(six: Path) -> None:
    best = json.loads((six / "metrics/best.json").read_text())
    assert next(iter(best)) == "model"
    assert best == {"model": "densenet121", **json.loads((six / "metrics/densenet121.json").read_text())}


class Page(HTMLParser):
    """Everything that a page would load or link to, its ids, and what it shows."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        for name, value in attrs:
            if name == "src" or (name == "href" and tag in ("link", "image", "use")):
                self.loads.append(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_page_needs_nothing_but_itself_and_its_links_lead_somewhere(six: Path) -> None:
    html = (six / "reports/index.html").read_text()
    page = Page(html)
    assert {one for one in page.loads if not one.startswith(("data:", "#"))} == {"run.js"}
    assert not re.findall(r"url\((?!#)[^)]*\)|@import", html)
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links if not link.startswith("http"))
    assert not [link for link in page.links if link.startswith("http")]


def test_the_page_begins_with_the_verdict_and_shows_every_number_of_every_model(six: Path) -> None:
    text = Page((six / "reports/index.html").read_text()).text
    assert text.index("Phantom images.") < text.index("densenet121 (from scratch) finds") < text.index("Models on the")
    for name in (*SIX, "shortcut"):
        one = json.loads((six / f"metrics/{name}.json").read_text())
        for key in WORDS:
            low, high = one["ci95"][key]
            shown = f"{one[key]:.3f}" + (f" [{low:.3f}, {high:.3f}]" if low is not None else "")
            assert shown in text, (name, key)
    for words in ("not for diagnosis", "not achievable in advance", "do not outline a lesion", "0.93", "Provenance"):
        assert words in text


def test_a_name_from_a_file_cannot_become_part_of_the_page(two: Path) -> None:
    path = two / "models/best/choice.json"
    path.write_text(path.read_text().replace("resnet50 it is.", "<script>alert(1)</script>"))
    html = (write(two, ["cnn", "resnet50"]) / "index.html").read_text()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


def test_the_short_form_opens_with_the_verdict_and_shows_every_backbone(six: Path) -> None:
    page = (six / "reports/report.md").read_text()
    assert page.split("\n\n")[1].replace("\n", " ").startswith("**densenet121 (from scratch) finds ")
    for name in (*SIX, "shortcut"):
        auc = json.loads((six / f"metrics/{name}.json").read_text())["roc_auc"]
        assert any(name in row and f" {auc:.3f} " in row for row in page.splitlines()), name
    assert "1,000,004" in page, "parameters of resnet50"
    assert len(page) < 6000


def test_the_model_card_is_filled_from_the_results(six: Path) -> None:
    card = (six / "reports/MODEL_CARD.md").read_text()
    best = json.loads((six / "metrics/best.json").read_text())
    for words in ("# Model card: densenet121", "**Not for diagnosis.**", "**Phantoms**", "one to five years", "w" * 64):
        assert words in card
    low, high = best["ci95"]["accuracy"]
    assert f"| accuracy | {best['accuracy']:.3f} | [{low:.3f}, {high:.3f}] |" in card
    assert not re.search(r"[{}%]{2}|\b(None|nan)\b", card)


def found_with(source: str, n: int, weights: str) -> results.Results:
    one = {"n": n, "weights": weights, "accuracy": 0.95, "recall": 0.95, "precision": 0.95, "f1": 0.95}
    one["ci95"] = {"accuracy": [0.94, 0.96], "recall": [0.9, 0.97], "precision": [0.9, 0.97], "f1": [None, None]}
    fields = dict.fromkeys(results.Results.__dataclass_fields__)
    return results.Results(**fields | {"choice": {"model": "cnn"}, "metrics": {"cnn": one}, "data": {"source": source}})


@pytest.mark.parametrize(
    ("source", "n", "weights", "said", "unsaid"),
    [
        ("phantom", 624, "none", ["phantom images", "mean nothing clinically"], ["Here,"]),
        ("archive", 100, "none", ["These 100 test images are others"], ["Here,", "phantom"]),
        ("kaggle", 624, "imagenet", ["Here, ImageNet: accuracy (+0.020) is above it; "], ["phantom", "scratch"]),
        ("kaggle", 624, "none", ["recall (-0.030) is below it", "precision (+0.040), F1 (+0.010) are not"], []),
        ("kaggle", 624, "/somewhere/own.safetensors", ["Here, own.safetensors:"], ["somewhere"]),
    ],
)
def test_the_published_line_is_compared_only_where_it_can_be(
    source: str, n: int, weights: str, said: list[str], unsaid: list[str]
) -> None:
    (line,) = verdict.line_to_beat(found_with(source, n, weights))
    assert "accuracy 0.93, recall 0.98, precision 0.91, F1 0.94" in line
    assert all(words in line for words in said), line
    assert not any(words in line for words in unsaid), line


def test_plot_data_hold_the_curves_of_all_and_the_confusion_of_the_chosen(six: Path) -> None:
    plots = {path.stem: pd.read_csv(path) for path in (six / "reports/plots").iterdir()}
    assert list(plots["roc"]) == ["model", "fpr", "tpr", "threshold"]
    assert list(plots["precision_recall"]) == ["model", "recall", "precision", "threshold"]
    assert list(plots["training"]) == ["model", "epoch", *CURVES]
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
        (lambda r: _rename(r / "scores/test/cnn.csv"), ManifestError, ["cnn", "not of the same images"]),
        (lambda r: (r / "scores/shortcut/test.csv").unlink(), ManifestError, ["shortcut/test.csv"]),
        (lambda r: (r / "metrics/cnn.json").unlink(), BundleError, ["cnn.json", "dvc repro evaluate@cnn"]),
        (lambda r: (r / "metrics/cnn.json").write_text("{"), BundleError, ["cnn.json", "not JSON"]),
        (lambda r: (r / "metrics/cnn.json").write_text("[]"), BundleError, ["cnn.json", "list"]),
        (lambda r: _drop("f1", r / "metrics/cnn.json"), BundleError, ["cnn.json", "'f1'", "--force"]),
        (lambda r: _drop("reason", r / "models/best/choice.json"), BundleError, ["choice.json", "'reason'"]),
        (lambda r: (r / "metrics/data.json").unlink(), BundleError, ["data.json", "dvc repro audit"]),
        (lambda r: (r / "data/audit/shift.csv").unlink(), BundleError, ["shift.csv", "dvc repro audit"]),
        (lambda r: (r / "reports/explain/explain.json").unlink(), BundleError, ["explain.json", "dvc repro explain"]),
        (lambda r: shutil.rmtree(r / "dvclive/cnn"), BundleError, ["train/loss.tsv", "train@cnn"]),
        (
            lambda r: (r / "dvclive/cnn/plots/metrics/val/roc_auc.tsv").write_text("step\tauc\n0\t1\n"),
            BundleError,
            ["val/roc_auc.tsv", "step and roc_auc", "step, auc"],
        ),
    ],
)
def test_an_input_that_is_missing_or_does_not_fit_is_named_with_the_remedy(
    two: Path, spoil: Callable[[Path], Any], error: type[Exception], words: list[str]
) -> None:
    spoil(two)
    with pytest.raises(error) as caught:
        write(two, ["cnn", "resnet50"])
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert not (two / "reports/report.md").exists(), "nothing is half written"


def _keep(path: Path, rows: int) -> None:
    pd.read_csv(path).head(rows).to_csv(path, index=False)


def _rename(path: Path) -> None:
    path.write_text(path.read_text().replace("person7_", "person777_"))


@pytest.mark.parametrize("names", [["resnet50"], ["cnn", "vgg16", "resnet50"]])
def test_a_choice_among_other_backbones_is_refused(pair: Path, names: list[str]) -> None:
    with pytest.raises(BundleError, match="run `dvc repro select_best`"):
        results.read_results(pair, names)


def test_of_an_epoch_that_ran_again_the_last_row_counts(two: Path) -> None:
    for name in ("train/loss", "val/loss", "val/roc_auc", "val/stress_loss", "val/stress_roc_auc"):
        path = two / f"dvclive/resnet50/plots/metrics/{name}.tsv"
        path.write_text(f"step\t{path.stem}\n0\t0.5\n1\t0.7\n1\t0.75\n")
    history = results.read_results(two, ["cnn", "resnet50"]).history
    history = history[history["model"] == "resnet50"]
    assert history["epoch"].tolist() == [0, 1]
    assert history["val_roc_auc"].tolist() == [0.5, 0.75]


def test_a_backbone_has_the_same_colour_in_any_company() -> None:
    everyone = style.palette([*SIX, "mine"])
    assert all(style.palette([name]) == {name: everyone[name]} for name in everyone)
    assert len(set(everyone.values())) == 7
    assert len(set(style.palette(["a", "b", "c", "d", "e"]).values())) == 5
