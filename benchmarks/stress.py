"""Does stress validation tell in advance what a shift in framing does? `python -m benchmarks.stress`.

Phantoms with a planted shortcut: outside the test set normal films are framed widely and pneumonias tightly; in the
test set all are framed tightly, as in the real dataset (results/README.md). Networks that differ in augmentation and
seed are trained on them. For each: ROC AUC of validation, plain and perturbed, and of the shifted test set; accuracy
there at Youden's threshold of plain and of perturbed validation scores. No real image takes part.
"""

import contextlib
import io
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from scipy.stats import spearmanr

from pneumo import files, params, shards
from pneumo.data import listing, manifest
from pneumo.data.listing import Raw
from pneumo.evaluation import decision, metrics
from pneumo.models import bundle
from pneumo.params import Split, Threshold, Views
from pneumo.preprocessing.preprocess import preprocess
from pneumo.scoring import outputs, scores, stress
from pneumo.sources import phantom
from pneumo.training.train import train
from pneumo.verification import gate

TOP = Path(__file__).parent.parent
IMAGES = {
    "train": {"normal": 200, "bacterial": 120, "viral": 80},
    "val": {"normal": 4, "bacterial": 4, "viral": 2},
    "test": {"normal": 100, "bacterial": 60, "viral": 40},
}
AREAS = {"none": (0.95, 1.0), "mild": (0.7, 1.0), "medium": (0.45, 1.0), "strong": (0.25, 1.0)}
SEEDS, EPOCHS, TIGHT = (0, 1), 14, 0.82
VIEWS = Views(flip=False, zooms=[1.0])


def framed(store: Path) -> None:
    """All but the normal films outside the test set lose the margin of their field."""
    table = manifest.read_manifest(store / "manifest.csv")
    pixels = np.load(store / "images.npy")
    side = pixels.shape[1]
    margin = round(side * (1 - TIGHT) / 2)
    for row in np.flatnonzero((table["label"] == 1) | (table["split"] == "test")):
        middle = Image.fromarray(pixels[row, margin : side - margin, margin : side - margin])
        pixels[row] = np.asarray(middle.resize((side, side), Image.Resampling.BICUBIC))
    np.save(store / "images.npy", pixels)


def candidate(store: Path, out: Path, area: tuple[float, float], seed: int) -> dict[str, float]:
    composed = gate.compose(
        TOP, "model=cnn10", "model.cnn10.input_size=64", f"model.cnn10.epochs={EPOCHS}", f"train.seeds=[{seed}]"
    )
    config = params.check(composed, "conf/")
    train(
        "cnn10",
        store,
        model=out,
        curves=out / "curves",
        resume_from=out / "checkpoints",
        features=out / "features",
        backbone=config.model["cnn10"],
        augment=config.augment.model_copy(update={"area": area}),
        training=config.train,
        seed=seed,
        film_fit=config.preprocess.fit,
    )
    outputs.predict(out, store, out / "outputs", candidate="cnn10", views=VIEWS, accelerator="cpu")
    written = scores.paths(out / "outputs", "cnn10", "cnn10")
    raw, stress_logits = scores.read_logits(written["val"]), stress.read_stress(written["stress"])
    row = {"plain": _auc(raw), "stress": _auc(stress.pooled(stress_logits))}
    for kind in ("plain", "stress"):
        policy = Threshold(scores=kind, policy="youden", value=None, error_rates=[0.05])
        _, decided = decision.decide(raw, stress_logits, policy)
        model_json = bundle.training_json(out) | {"views": VIEWS.model_dump()} | decided
        files.write_json(out / "model.json", model_json)
        test = decision.calibrated(outputs.logits(out, store, "test", accelerator="cpu"), decided["temperature"])
        right = metrics.decisions(test["label"], test["score"], decided["threshold"], test["subtype"])
        row |= {"test": _auc(test), f"accuracy, {kind}": right["accuracy"]}
    return row


def _auc(table: pd.DataFrame) -> float:
    return metrics.ranking(table["label"], table["logit"])["roc_auc"]


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "processed")
        raw = Path(folder, "raw")
        phantom.draw(raw, seed=0, images=IMAGES, size=160)
        shards.pack(listing.read(raw), raw, raw)
        preprocess(
            Raw(raw),
            store,
            image_size=96,
            max_rejected=0.01,
            split=Split(
                seed=0, val_fraction=0.3, test_fraction=0.2, test_seed=0, max_unknown_patients=0, leave_out=None
            ),
        )
        framed(store)
        for name, area in AREAS.items():
            for seed in SEEDS:
                with contextlib.redirect_stdout(io.StringIO()):
                    found = candidate(store, Path(folder, f"{name}-{seed}"), area, seed)
                rows.append({"zoom": name, "seed": seed, **found})
                print(_line(rows[-1].values()), flush=True)
    table = pd.DataFrame(rows)
    print(_line(table.columns))
    for kind in ("plain", "stress"):
        alike, first = table[kind].nunique() == 1, table.iloc[int(table[kind].argmax())]
        rank = "none, all are alike" if alike else f"{spearmanr(table[kind], table['test']).statistic:+.2f}"
        print(f"{kind} validation: rank correlation with the shifted test set {rank}; the (first) network that it "
              f"chooses has test ROC AUC {first['test']:.3f}, the best {table['test'].max():.3f}")  # fmt: skip
    for kind in ("plain", "stress"):
        print(f"threshold from {kind} scores: mean test accuracy {table[f'accuracy, {kind}'].mean():.3f}")


def _line(values: Iterable[Any]) -> str:
    return " ".join(f"{value:18.3f}" if isinstance(value, float) else f"{value:>18}" for value in values)


if __name__ == "__main__":
    main()
