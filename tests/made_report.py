"""A made-up project that the report stage can read: scores, curves and pixels of noise, and a real audit of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import elsewhere
import numpy as np
import pandas as pd
from listed import relist
from PIL import Image

from pneumo import files
from pneumo.audit import audit
from pneumo.data import manifest, packed
from pneumo.data.listing import Raw
from pneumo.evaluation import choice, flagged, suspected
from pneumo.evaluation.evaluate import measure
from pneumo.models import bundle
from pneumo.models.perturbations import NAMES
from pneumo.params import Bootstrap, Threshold
from pneumo.record.record import GUARD_METRICS, SUSPECTED_LABELS
from pneumo.report import page, reading, report
from pneumo.report.results import Results
from pneumo.scoring import scores, stress
from pneumo.sources import kermany

MODELS = ("cnn", "resnet50", "densenet121")  # from worst to best; the last is the selected one
ELSEWHERE = "there"  # the name of another hospital's data set
RESAMPLES = 200
SETTINGS = {"prevalence": 0.1}
IMAGES = {"train": 40, "val": 30, "test": 100}
FIRST_PATIENT = {"train": 1000, "val": 2000, "test": 1}
EPOCHS = 12
SIDE = 32  # pixels of a packed image


def make(root: Path) -> Path:
    """The inputs of the stage for MODELS in `root`, which is returned."""
    rows = _data(root)
    _audit(root)
    tables: dict[str, dict[str, pd.DataFrame]] = {"val": {}, "test": {}}
    model_jsons = {}
    for rank, name in enumerate(MODELS):
        rng = np.random.default_rng(rank)
        for split in ("val", "test"):
            path = root / f"scores/{split}/{name}.csv"
            scores.write(_scored(rows[rows["split"] == split], rank, rng), path)
            tables[split][name] = scores.read_scores(path)
        threshold = 0.3 + 0.08 * rank
        about = {"weights": "none", "parameters": 10 ** (rank + 2) + rank, "flops": 10**8, "input_size": 64}
        values = measure(
            tables["test"][name],
            threshold,
            thresholds=None,
            validation=tables["val"][name],
            stress_logits=_under_stress(tables["val"][name], rng),
            temperature=1.0,
            suspected_images=suspected.read(root / SUSPECTED_LABELS)["image"],
            error_rates=[0.05],
            **SETTINGS,
        )
        files.write_json(root / f"metrics/{name}.json", values | about)
        model_jsons[name] = _model_json(name, threshold, about)
        _curves(root / f"dvclive/{name}/plots/metrics", rng)
    best = MODELS[-1]
    alone = {name: [name] for name in MODELS}
    selection = choice.choose(
        alone,
        tables["val"],
        model_jsons,
        "roc_auc",
        prefer_cheaper=False,
        resamples=RESAMPLES,
        seed=0,
        scores_kind="stress",
    )
    files.write_json(
        root / "models/best/choice.json", selection | {"model": best, "replicate": best, "reason": f"{best} it is."}
    )
    files.write_json(root / "models/best/model.json", model_jsons[best])
    _explain(root / "reports/explain", best, tables["test"][best])
    _ablation(root / "reports/ablation", best, rows[rows["split"] == "val"])
    (root / "params.yaml").write_text(f"select:\n  metric: roc_auc\nexternal:\n  {ELSEWHERE}: {{}}\n")
    elsewhere.add(root, ELSEWHERE)
    return root


def read(root: Path, names: Sequence[str] = MODELS) -> Results:
    bootstrap = Bootstrap(resamples=RESAMPLES, seed=0, threshold="redrawn")
    policy = Threshold(scores="plain", policy="youden", value=None, error_rates=[0.05])
    return reading.read_results(root, names, bootstrap=bootstrap, policy=policy)


def write(root: Path) -> Path:
    """What the stage does: the report of `root` in `root`/reports, which is returned."""
    made = read(root)
    report.write(made, root / "reports", root / "metrics/best.json", resamples=RESAMPLES, seed=0)
    return root / "reports"


def contents(folder: Path) -> dict[str, bytes]:
    """What the stage has written there: path below `folder` -> bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not {"ablation", "explain"} & set(path.parts)
    }


def _image_names(split: str) -> list[str]:
    """Two in five of them normal, one patient each."""
    count, first = IMAGES[split], FIRST_PATIENT[split]
    normal = [f"{split}/NORMAL/IM-{first + i:04}-0001.jpeg" for i in range(2 * count // 5)]
    germs = ("bacteria", "virus")
    rest = [f"{split}/PNEUMONIA/person{first + i}_{germs[i % 2]}_1.jpeg" for i in range(count - len(normal))]
    return normal + rest


def _data(root: Path) -> pd.DataFrame:
    """data/raw, of which only the sizes matter, and data/processed, of noise."""
    names = sorted(name for split in IMAGES for name in _image_names(split))
    rows = pd.DataFrame([vars(kermany.identify(name)) for name in names]).drop(columns=["rejected", "details"])
    rows["split"] = rows["source_split"]
    rng = np.random.default_rng(0)
    rows["width"], rows["height"] = rng.integers(900, 1400, len(rows)), rng.integers(700, 1000, len(rows))
    rows["sha256"] = rows["image"]
    for name in names:
        path = root / "data/raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(rng.integers(100, 200)))
    relist(root / "data/raw")
    (root / "data/processed").mkdir(parents=True)
    manifest.write(rows, root / "data/processed/manifest.csv")
    pd.DataFrame(columns=list(manifest.REJECTED_COLUMNS)).to_csv(root / "data/processed/rejected.csv", index=False)
    with packed.Writer(root / "data/processed/images.npy", SIDE) as writer:
        for _ in names:
            writer.append(rng.integers(0, 255, (SIDE, SIDE), dtype=np.uint8))
    return rows


def _audit(root: Path) -> None:
    policy = Threshold(scores="plain", policy="youden", value=None, error_rates=[0.05])
    data = root / "data"
    audited = audit.audit(
        Raw(data / "raw"),
        data / "processed",
        data / "audit",
        source="phantom",
        subset=None,
        threshold=policy,
        bootstrap=Bootstrap(resamples=RESAMPLES, seed=0, threshold="redrawn"),
        **SETTINGS,
    )
    _guard(root)
    scores.write(audited.test_scores, root / "scores/shortcut/test.csv")
    suspected.write(audited.suspects, root / SUSPECTED_LABELS)
    files.write_json(root / "metrics/shortcut.json", audited.shortcut)
    files.write_json(root / "metrics/data.json", audited.summary)


def _scored(rows: pd.DataFrame, rank: int, rng: np.random.Generator) -> pd.DataFrame:
    """Scores of a model that is better the higher its `rank`."""
    label = rows["label"].to_numpy()
    logit = rng.normal(0, 1.6, len(rows)) + np.where(label == 1, 1.6 + 0.5 * rank, -1.6)
    scored = scores.table(rows, logit)
    scored["score"] = scores.six_digits(1 / (1 + np.exp(-scored["logit"])))
    return scored


def _under_stress(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Logits under each perturbation: noisier ones."""
    noise = rng.normal(0, 0.5, (len(table), len(NAMES)))
    return stress.table(table, table["logit"].to_numpy()[:, None] + noise)


def _model_json(name: str, threshold: float, about: dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(bundle.TRAINING_KEYS, 1) | about | {
        "name": name,
        "kind": "backbone",
        "architecture": f"{name}.a1_in1k",
        "temperature": 1.0,
        "sha256": {"manifest": "m" * 64, "weights": "w" * 64, "starting_weights": ""},
        "versions": {"torch": "2.13.0"},
        "threshold": threshold,
        "margins": {},
        "threshold_policy": {"scores": "plain", "policy": "youden", "value": None, "error_rates": [0.05]},
        "views": {"flip": False, "zooms": [1.0]},
    }  # fmt: skip


def _guard(root: Path) -> None:
    groups = {
        flagged.VALIDATION: {"n": IMAGES["val"], "flagged": 0.0},
        flagged.TEST: {"n": IMAGES["test"], "flagged": 0.01},
    }
    groups |= {"mirrored": {"n": IMAGES["test"], "flagged": 0.02}, "noise": {"n": 20, "flagged": 1.0}}
    files.write_json(root / GUARD_METRICS, {"limit": 300.0, "groups": groups})


def _curves(folder: Path, rng: np.random.Generator) -> None:
    step = np.arange(EPOCHS)
    values = {
        "train/loss": 0.7 * np.exp(-step / 4) + rng.normal(0, 0.01, EPOCHS) + 0.03,
        "val/loss": 0.6 * np.exp(-step / 3) + rng.normal(0, 0.02, EPOCHS) + 0.15 + 0.01 * step,
        "val/roc_auc": 1 - 0.35 * np.exp(-step / 3) - rng.uniform(0.01, 0.05, EPOCHS),
        "val/stress_loss": 0.6 * np.exp(-step / 3) + 0.25,
        "val/stress_roc_auc": 0.93 - 0.35 * np.exp(-step / 3),
    }
    for name, value in values.items():
        path = folder / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"step": step, path.stem: value}).to_csv(path, sep="\t", index=False)


def _explain(folder: Path, name: str, table: pd.DataFrame) -> None:
    first = table.iloc[0]
    case = {"image": first["image"], "kind": "true_negative", "label": 0, "subtype": "normal"}
    case |= {"patient": first["patient"], "score": float(first["score"])}
    case |= {"file": "true_negative-1.png", "correlation": None}
    content = {"model": name, "layers": {name: {"layer": "body.18", "side": 4}}, "cases": [case]}
    files.write_json(folder / "explain.json", content | {"mean_correlation": None, "defined_correlations": 0})
    Image.new("RGB", (96, 32), "grey").save(folder / "true_negative-1.png")
    Image.new("L", (64, 64), 90).save(folder / "samples.png")


def _ablation(folder: Path, name: str, rows: pd.DataFrame) -> None:
    interval = {key: [0.4, 0.8125] for key in ("roc_auc", "recall", "specificity")}
    measured = {
        "roc_auc": 0.7,
        "recall": 0.8,
        "specificity": 0.6,
        "ci95": interval,
        "of_picture": 0.25,
        "of_lungs": 1.0,
    }
    content = {
        "model": name,
        "n": len(rows) - 1,
        "patients": len(rows) - 1,
        "covers": dict.fromkeys(page.COVERS, measured),
    }
    first, last = rows.iloc[0], rows.iloc[-1]
    left_out = {"left_out": [{"image": last["image"], "label": 1}]}
    example = {"file": "example-1.png", "image": first["image"], "label": 0, "subtype": "normal"}
    files.write_json(folder / "ablation.json", content | left_out | {"examples": [example]})
    Image.new("RGB", (96, 32), "grey").save(folder / "example-1.png")
