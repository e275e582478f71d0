"""Does the network look at lungs? Its scores on validation films of which a part is covered.

A network that reads lungs falls to chance where they are covered, and keeps its scores where all else is. One that
keeps them without the lungs has learnt something else: framing, the machine, the age of the child.

A cover is one grey, the mean of what surrounds it, so that its edge is faint. All the same its outline can tell a small
or deformed lung, and a covered film is like nothing that the network has seen. So there are two controls: the lungs of
another patient's film, and the place where most films have lungs, which is the same for all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from pneumo import files
from pneumo.data import packed
from pneumo.evaluation import decision, metrics
from pneumo.evaluation.drawn import Drawn
from pneumo.explain import lungs
from pneumo.explain.explain import folders_of
from pneumo.explain.lungs import Masks
from pneumo.models import bundle, runtime
from pneumo.scoring import inference, scores

KEYS = ("roc_auc", "recall", "specificity")
BORDER = 1 / 8  # of the side, on each of the four
SURROUND = 1 / 16  # of the side: the width of what gives a cover its grey
FEWEST = 2  # patients of each class, without whom nothing can be said
EXAMPLES = 2  # of each class
PANEL, GAP = 160, 4  # pixels
OUTLINE = (86, 180, 233)


@dataclass(frozen=True)
class Places:
    """Parts of n films, all [n, S, S]: the lungs of each; those of another patient's film; where at least half of the
    films have lungs; and the border.
    """

    own: Masks
    another: Masks
    common: Masks
    border: Masks


COVERS: dict[str, Callable[[Places], Masks]] = {  # name -> what is covered
    "nothing": lambda places: np.zeros_like(places.own),
    "lungs": lambda places: places.own,
    "lungs_of_another": lambda places: places.another,
    "lungs_of_most": lambda places: places.common,
    "all_but_lungs": lambda places: ~places.own,
    "all_but_lungs_of_another": lambda places: ~places.another,
    "all_but_lungs_of_most": lambda places: ~places.common,
    "border": lambda places: places.border,
}
SHOWN = ("lungs", "all_but_lungs", "lungs_of_most", "border")  # panels of an example, after the film itself
Score = Callable[[pd.DataFrame, packed.Pixels], pd.DataFrame]


def write(best: Path, processed: Path, out: Path, *, seed: int, accelerator: str) -> dict[str, Any]:
    """Score the validation films of `processed` under each of COVERS: ablation.json and a PNG an example, into `out`.

    `best`: a model, used with its own temperature and threshold. `seed`: of the covers and examples drawn by lot. Films
    on which no lungs are found are left out, and named. Returns the content of ablation.json; its `covers` are empty
    where fewer than FEWEST patients of a class are left.
    Raises BundleError or ManifestError where model and pixels do not fit each other.
    """
    model_json = bundle.model_json(best)
    members = {name: (folder, bundle.model_json(folder)) for name, folder in folders_of(best, model_json).items()}
    for folder, member_json in members.values():
        val = inference.read_split(folder, member_json, processed, "val")
    found = lungs.find(val.pixels(slice(None)))
    rows = val.rows[found.plausible].reset_index(drop=True)
    content = {
        "model": model_json["name"],
        "threshold": model_json["threshold"],
        "n": len(rows),
        "patients": int(rows["patient"].nunique()),
        "left_out": val.rows.loc[~found.plausible, ["image", "label"]].to_dict("records"),
        "covers": {},
        "examples": [],
    }
    pictures: dict[str, Image.Image] = {}
    if rows.groupby("label")["patient"].nunique().reindex([0, 1], fill_value=0).min() >= FEWEST:
        pixels = val.pixels(np.flatnonzero(found.plausible).tolist())
        places = places_of(found.masks[found.plausible], rows["patient"], seed)
        score = _scorer(model_json, members, accelerator)
        content["covers"] = measure(score, rows, pixels, places, model_json)
        examples = _examples(rows, seed)
        pictures = {file: _strip(pixels, places, at) for file, at in examples.items()}
        shown = rows.loc[[*examples.values()], ["image", "label", "subtype"]].to_dict("records")
        content["examples"] = [{"file": file, **case} for file, case in zip(examples, shown, strict=True)]
    out.mkdir(parents=True, exist_ok=True)
    for stale in out.glob("*.png"):
        stale.unlink()  # not written over: DVC may have hard-linked it to its cache
    for file, picture in pictures.items():
        picture.save(out / file, optimize=True)
    files.write_json(out / "ablation.json", content)
    return content


def places_of(own: Masks, patients: pd.Series, seed: int) -> Places:
    """`own`: the lungs of each film. `patients`: of each film, two or more. `seed`: of whose lungs `another` are."""
    names = patients.to_numpy()
    order = np.random.default_rng(seed).permutation(len(own))  # by lot: films that follow each other share their class
    partner = np.empty_like(order)
    for at, film in enumerate(order):
        later = np.roll(order, -at)[1:]
        partner[film] = later[names[later] != names[film]][0]
    common = np.broadcast_to(own.mean(axis=0) >= 0.5, own.shape)
    side = own.shape[1]
    border = np.ones((side, side), dtype=bool)
    width = round(BORDER * side)
    border[width : side - width, width : side - width] = False
    return Places(own, own[partner], common, np.broadcast_to(border, own.shape))


def cover(pixels: packed.Pixels, hidden: Masks) -> packed.Pixels:
    """`pixels`, uint8 [n, S, S], with what is `hidden`, [n, S, S], in the mean grey of what surrounds it."""
    result = pixels.copy()
    reach = 2 * max(1, round(SURROUND * pixels.shape[1])) + 1
    for film, mask in zip(result, hidden, strict=True):
        surround = ndimage.maximum_filter(mask, reach) & ~mask
        if mask.any():
            film[mask] = round(float(film[surround].mean())) if surround.any() else 0
    return result


def outlined(film: packed.Pixels, mask: Masks, side: int) -> Image.Image:
    """The film, uint8 [S, S], at `side` pixels with the outline of `mask` [S, S] in colour."""
    grey, shape = Image.fromarray(film), Image.fromarray(mask.astype(np.uint8) * 255)
    colours = np.asarray(grey.resize((side, side), Image.Resampling.LANCZOS).convert("RGB")).copy()
    large = np.asarray(shape.resize((side, side), Image.Resampling.BILINEAR)) > 127
    colours[large & ~ndimage.binary_erosion(large)] = OUTLINE
    return Image.fromarray(colours)


def _scorer(
    model_json: Mapping[str, Any], members: Mapping[str, tuple[Path, dict[str, Any]]], accelerator: str
) -> Score:
    """What gives rows and their pixels the scores of the model, scores.COLUMNS."""
    device = runtime.device(accelerator)
    scorers = {
        name: inference.Scorer(inference.load(folder, own), own["input_size"], own["views"], device)
        for name, (folder, own) in members.items()
    }
    temperatures = {name: own["temperature"] for name, (_, own) in members.items()}

    def score(rows: pd.DataFrame, pixels: packed.Pixels) -> pd.DataFrame:
        split = packed.Split(rows, pixels, np.arange(len(rows)))
        raw = {name: scores.table(rows, scorer.logits(split)) for name, scorer in scorers.items()}
        logits = scores.mean_logit(raw, temperatures) if model_json["kind"] == "ensemble" else raw[model_json["name"]]
        return decision.calibrated(logits, model_json["temperature"])

    return score


def measure(
    score: Score,
    rows: pd.DataFrame,
    pixels: packed.Pixels,
    places: Places,
    model_json: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """For each of COVERS the KEYS with their intervals, and how much it hides of the picture and of the lungs."""
    measured = {}
    for name, where in COVERS.items():
        hidden = where(places)
        table = score(rows, cover(pixels, hidden))
        values = metrics.values(Drawn.of(table, model_json["threshold"]), "ranking", "decision")
        bounds = metrics.intervals(
            table,
            model_json["threshold"],
            temperature=model_json["temperature"],
            prevalence=0.5,  # for predictive values, which are not kept
        )
        measured[name] = {
            **{key: values[key] for key in KEYS},
            "ci95": {key: bounds[key] for key in KEYS},
            "of_picture": round(float(hidden.mean()), 4),
            "of_lungs": round(float(hidden[places.own].mean()), 4),
        }
    return measured


def _examples(rows: pd.DataFrame, seed: int) -> dict[str, int]:
    """File name -> row of EXAMPLES films of each class, by lot."""
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(rows["label"] == label))[:EXAMPLES] for label in (0, 1)]
    return {f"example-{number}.png": int(at) for number, at in enumerate(np.concatenate(drawn), start=1)}


def _strip(pixels: packed.Pixels, places: Places, at: int) -> Image.Image:
    """The film with the outline of its lungs, then as it is scored under the covers of SHOWN."""
    one = slice(at, at + 1)
    covered = [cover(pixels[one], COVERS[name](places)[one])[0] for name in SHOWN]
    nothing: NDArray[np.bool_] = np.zeros(pixels.shape[1:], dtype=bool)
    panels = [outlined(pixels[at], places.own[at], PANEL), *(outlined(film, nothing, PANEL) for film in covered)]
    strip = Image.new("RGB", (len(panels) * (PANEL + GAP) - GAP, PANEL), "white")
    for number, panel in enumerate(panels):
        strip.paste(panel, (number * (PANEL + GAP), 0))
    return strip
