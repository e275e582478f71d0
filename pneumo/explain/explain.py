"""The most confident right and wrong cases as pictures, each with where the network found its evidence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from pneumo import files
from pneumo.data import packed
from pneumo.data.manifest import require_columns
from pneumo.errors import BundleError, ManifestError
from pneumo.evaluation import selected
from pneumo.explain import grad_cam
from pneumo.models import bundle, runtime
from pneumo.scoring import inference, scores

KINDS = {  # name -> label, called pneumonia
    "true_positive": (1, True),
    "true_negative": (0, False),
    "false_positive": (0, True),
    "false_negative": (1, False),
}
CASE_COLUMNS = ("image", "kind", "label", "subtype", "patient", "score")
PANEL, GAP = 224, 4  # pixels
OPACITY = 0.6  # of the colour where the evidence is strongest


def most_confident(table: pd.DataFrame, threshold: float, count: int) -> pd.DataFrame:
    """The `count` most confident images of each of KINDS, or as many as there are: CASE_COLUMNS.

    `table`: scores.COLUMNS. Confidence is the distance of the logit from that of the threshold; ties are broken by the
    name of the image.
    """
    require_columns(table, scores.COLUMNS, "the scores to explain")
    called = table["score"] >= threshold
    by_kind = []
    for kind, (label, pneumonia) in KINDS.items():
        rows = table[(table["label"] == label) & (called == pneumonia)]
        # On one side of the threshold the distance follows the logit, which does not saturate at 1 as the score does.
        ordered = rows.sort_values(["logit", "image"], ascending=[not pneumonia, True])
        by_kind.append(ordered.head(count).assign(kind=kind))
    return pd.concat(by_kind, ignore_index=True).loc[:, list(CASE_COLUMNS)]


def write(
    best: Path, processed: Path, scores_folder: Path, out: Path, *, count: int, seed: int, accelerator: str
) -> dict[str, Any]:
    """Explain the `count` most confident cases of each kind: explain.json and a PNG of each case, into `out`.

    `best`: a model. `scores_folder`: has its scores on the test set, NAME.csv. `seed`: of the random weights.
    A PNG shows the image, Grad-CAM over it, and the same with random weights. Returns the content of explain.json.
    Raises ManifestError if the scores are not of the test set of `processed`, and BundleError if the scores or the
    pixels do not belong to the model.
    """
    model_json = bundle.model_json(best)
    folders = folders_of(best, model_json)
    for folder in folders.values():
        test = inference.read_split(folder, bundle.model_json(folder), processed, "test")
    table = selected.scores_of(best, scores_folder)
    cases = most_confident(table, model_json["threshold"], count)
    images = _images_of(cases, test)
    device = runtime.device(accelerator)
    members = {name: grad_cam.load_member(folder, device) for name, folder in folders.items()}
    _require_same_model(members, model_json, images, table, best, device)
    trained = grad_cam.mean_map([grad_cam.maps(member, images, device) for member in members.values()])
    random = grad_cam.mean_map(
        [grad_cam.maps(grad_cam.randomised(member, seed, device), images, device) for member in members.values()]
    )
    correlations = [grad_cam.correlation(*pair) for pair in zip(trained, random, strict=True)]
    names = cases["kind"] + "-" + (cases.groupby("kind").cumcount() + 1).astype(str) + ".png"
    strips = [strip(*panels) for panels in zip(images.pixels(slice(None)), trained, random, strict=True)]
    _replace_pictures(out, dict(zip(names, strips, strict=True)))
    defined = [correlation for correlation in correlations if correlation is not None]
    content = {
        "model": model_json["name"],
        "input_size": max(member.model_json["input_size"] for member in members.values()),
        "layers": {name: {"layer": member.layer, "side": member.side} for name, member in members.items()},
        "image_size": images.images.shape[1],
        "seed": seed,
        "mean_correlation": round(float(np.mean(defined)), 4) if defined else None,
        "defined_correlations": len(defined),
        "cases": cases.assign(file=names, correlation=pd.Series(correlations, dtype=object)).to_dict("records"),
    }
    files.write_json(out / "explain.json", content)
    return content


def strip(pixels: packed.Pixels, trained: NDArray[np.float64], random: NDArray[np.float64]) -> Image.Image:
    """Three panels of PANEL pixels side by side: the image, uint8 [S, S], and each map, [S, S] in [0, 1], over it.

    A palette of 256 colours, fitted to the picture, halves the file.
    """
    grey = _enlarged(pixels.astype(np.float64) / 255)[..., None].repeat(3, axis=2)
    panels = [grey, *(_over(grey, _enlarged(strength)) for strength in (trained, random))]
    gap = np.ones((PANEL, GAP, 3))
    whole = np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)
    picture = Image.fromarray((whole * 255).round().astype(np.uint8))
    return picture.quantize(256, kmeans=8, dither=Image.Dither.NONE)


def _images_of(cases: pd.DataFrame, test: packed.Split) -> packed.Split:
    """The images of `cases`, in their order. Raises ManifestError where the test set lacks or contradicts one."""
    position = {image: k for k, image in enumerate(test.rows["image"])}
    for image in cases["image"]:
        if image not in position:
            raise ManifestError(
                f"the scores list {image}, which is not in the test set of the manifest: run `dvc repro`"
            )
    order = [position[image] for image in cases["image"]]
    rows = test.rows.iloc[order].reset_index(drop=True)
    for column in ("label", "subtype", "patient"):
        wrong = cases.loc[rows[column] != cases[column], "image"]
        if len(wrong):
            raise ManifestError(f"the {column} of {wrong.iloc[0]} differs between scores and manifest: run `dvc repro`")
    return packed.Split(rows, test.images, test.where[order])


def folders_of(best: Path, model_json: Mapping[str, Any]) -> dict[str, Path]:
    """Name -> folder of each network of the model in `best`: a backbone is one, an ensemble has several."""
    if model_json["kind"] == "ensemble":
        return {name: best / "members" / name for name in model_json["members"]}
    return {model_json["name"]: best}


def _require_same_model(
    members: Mapping[str, grad_cam.Member],
    model_json: Mapping[str, Any],
    images: packed.Split,
    table: pd.DataFrame,
    best: Path,
    device: torch.device,
) -> None:
    """A picture must not carry the score of another model. Tolerant, since GPU and CPU differ a little."""
    of_members = []
    for member in members.values():
        scorer = inference.Scorer(member.network, member.model_json["input_size"], member.model_json["views"], device)
        temperature = member.model_json["temperature"] if model_json["kind"] == "ensemble" else 1
        of_members.append(scorer.logits(images) / temperature)
    expected = table.set_index("image").loc[images.rows["image"], "logit"].to_numpy()
    wrong = images.rows.loc[~np.isclose(np.mean(of_members, axis=0), expected, rtol=0.02, atol=0.02), "image"]
    if len(wrong):
        raise BundleError(f"{best} gives {wrong.iloc[0]} a logit that is not the one in its scores: run `dvc repro`")


def _enlarged(values: NDArray[np.float64]) -> NDArray[np.float64]:
    picture = Image.fromarray(values.astype(np.float32))
    return np.asarray(picture.resize((PANEL, PANEL), Image.Resampling.LANCZOS), dtype=np.float64).clip(0, 1)


def _over(grey: NDArray[np.float64], strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """`strength` [P, P] in colour over `grey` [P, P, 3]; where there is no evidence the image stays as it is."""
    alpha = OPACITY * strength[..., None]
    return (1 - alpha) * grey + alpha * colormaps["plasma"](strength)[..., :3]


def _replace_pictures(out: Path, pictures: Mapping[str, Image.Image]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.png"):
        old.unlink()  # not written over: DVC may have hard-linked it to its cache
    for file, picture in pictures.items():
        picture.save(out / file, optimize=True)
