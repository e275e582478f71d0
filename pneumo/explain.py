"""Where in the image a model finds its evidence for pneumonia: Grad-CAM, checked against random weights.

Grad-CAM (Selvaraju et al. 2017): the feature maps of a late convolutional layer, each weighted by the mean gradient of
the logit with respect to it, summed, negative values cut off. It is always evidence for pneumonia, also for images that
were called normal. It has the few cells of that layer and says where the network looked, not whether it was right to.

The check (Adebayo et al. 2018, "Sanity checks for saliency maps"): the same images through the same architecture with
random weights. A map that stays the same shows the image, not what was learnt.

Limits. The mean of the gradient forgets where in the map it was: a network whose head weighs places differently, as
cnn's does, can light up where it did not look (Draelos and Carin 2020). And a map is laid over the whole image, whereas
the cells of a network without padding at the border, such as Inception, leave out a margin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import spearmanr
from torch import Tensor, nn

from pneumo import augment, backbones, bundle, inference, packed, scores
from pneumo.backbones import Network
from pneumo.errors import BundleError, ManifestError
from pneumo.manifest import require_columns

Maps = NDArray[np.float64]  # [n, S, S] in [0, 1]

KINDS = {  # name -> label, called pneumonia
    "true_positive": (1, True),
    "true_negative": (0, False),
    "false_positive": (0, True),
    "false_negative": (1, False),
}
CASE_COLUMNS = ("image", "kind", "label", "subtype", "patient", "score")
SMALLEST_SIDE = 4  # cells of a map: with fewer, the upper and the lower zone of one lung have no cell of their own
BATCH_SIZE = 8
PANEL, GAP = 224, 4  # pixels
OPACITY = 0.6  # of the colour where the evidence is strongest


@dataclass(frozen=True)
class Member:
    """One network of the model: the whole of a backbone, or one of an ensemble."""

    network: Network
    contract: Mapping[str, Any]
    layer: str
    side: int  # cells of the layer's feature map


def cases(table: pd.DataFrame, threshold: float, count: int) -> pd.DataFrame:
    """The `count` most confident images of each of KINDS, fewer where there are fewer: CASE_COLUMNS.

    `table`: pneumo.scores.COLUMNS. Confidence is the distance of the logit from that of the threshold; among equals the
    name of the image decides.
    """
    require_columns(table, scores.COLUMNS, "the scores to explain")
    called = table["score"] >= threshold
    found = []
    for kind, (label, pneumonia) in KINDS.items():
        of_kind = table[(table["label"] == label) & (called == pneumonia)]
        # On one side of the threshold the distance follows the logit, which does not saturate at 1 as the score does.
        ordered = of_kind.sort_values(["logit", "image"], ascending=[not pneumonia, True])
        found.append(ordered.head(count).assign(kind=kind))
    return pd.concat(found, ignore_index=True).loc[:, list(CASE_COLUMNS)]


def write(
    best: Path, processed: Path, table: pd.DataFrame, out: Path, *, count: int, seed: int, accelerator: str
) -> dict[str, Any]:
    """Explain the `count` most confident cases of each kind: explain.json and one PNG for each case, into `out`.

    `best`: a bundle. `table`: its scores on the test part, pneumo.scores.COLUMNS. `seed`: of the random weights.
    A PNG shows the image, Grad-CAM over it, and the same with random weights. Returns what explain.json says.
    Raises ManifestError where the scores are not of the test part of `processed`, and BundleError where they or the
    pixels are not those of the bundle.
    """
    contract = bundle.contract(best)
    chosen = cases(table, contract["threshold"], count)
    part = _part(packed.read(processed, "test"), chosen)
    device = inference.device(accelerator)
    members = {name: _member(folder, part, device) for name, folder in _folders(best, contract).items()}
    _require_same_model(members, contract, part, table, best, device)
    learnt = mean_map([maps(one, part, device) for one in members.values()])
    random = mean_map([maps(_randomised(one, seed, device), part, device) for one in members.values()])
    correlations = [correlation(*pair) for pair in zip(learnt, random, strict=True)]
    files = chosen["kind"] + "-" + (chosen.groupby("kind").cumcount() + 1).astype(str) + ".png"
    strips = [strip(*three) for three in zip(part.pixels(slice(None)), learnt, random, strict=True)]
    _replace_pictures(out, dict(zip(files, strips, strict=True)))
    defined = [one for one in correlations if one is not None]
    content = {
        "model": contract["name"],
        "layers": {name: {"layer": one.layer, "side": one.side} for name, one in members.items()},
        "image_size": part.images.shape[1],
        "seed": seed,
        "mean_correlation": round(float(np.mean(defined)), 4) if defined else None,
        "defined_correlations": len(defined),
        "cases": chosen.assign(file=files, correlation=pd.Series(correlations, dtype=object)).to_dict("records"),
    }
    bundle.write_json(out / "explain.json", content)
    return content


def maps(member: Member, part: packed.Part, device: torch.device) -> Maps:
    """Grad-CAM of each image of `part` for the logit of pneumonia, at the size of the packed pixels.

    Each map is divided by its own maximum; one without positive evidence is zero throughout.
    """
    grad_cam = LayerGradCam(member.network, member.network.get_submodule(member.layer))
    size = part.images.shape[1]
    found = [np.empty((0, size, size))]
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        for start in range(0, len(part), BATCH_SIZE):
            pixels = torch.from_numpy(part.pixels(slice(start, start + BATCH_SIZE))).to(device)
            # The weights are frozen, so the gradient has to be asked for by the input.
            grey = augment.resize(pixels, member.contract["input_size"]).requires_grad_()
            cells = grad_cam.attribute(grey, relu_attributions=True).detach().double().cpu()
            found.append(F.interpolate(cells, (size, size), mode="bilinear").squeeze(1).numpy())
    return _scaled(np.concatenate(found))


def mean_map(of_members: list[Maps]) -> Maps:
    """The map of a model with these members, whose maps have a maximum of 1 and so the same say."""
    return _scaled(np.mean(of_members, axis=0))


def correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation of two maps, pixel by pixel; None where one of them is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return round(float(spearmanr(one, other, axis=None).statistic), 4)


def last_map(network: Network, size: int) -> tuple[str, int]:
    """Name and side of the deepest layer whose output is a feature map, [B, C, side, side], that all evidence passes.

    All: no path from the pixels (`size` a side) to the logit goes round it, as a shortcut goes round the layers of its
    residual block. A layer whose map has SMALLEST_SIDE or more is preferred to a deeper one that has less. Found by
    trial, so that it holds for every architecture. Raises BundleError where there is none.
    """
    sides = _sides(network, size)
    deepest_first = list(reversed(sides))
    for name in sorted(deepest_first, key=lambda name: sides[name] < SMALLEST_SIDE):
        if _all_passes(network, name, size):
            return name, sides[name]
    raise BundleError("this architecture has no feature map that Grad-CAM could use")


def strip(pixels: packed.Pixels, learnt: NDArray[np.float64], random: NDArray[np.float64]) -> Image.Image:
    """Three panels of PANEL pixels side by side: the image, uint8 [S, S], and both maps, [S, S] in [0, 1], over it.

    In 256 colours chosen for this picture, which halves the file.
    """
    grey = _enlarged(pixels.astype(np.float64) / 255)[..., None].repeat(3, axis=2)
    panels = [grey, *(_over(grey, _enlarged(strength)) for strength in (learnt, random))]
    gap = np.ones((PANEL, GAP, 3))
    whole = np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)
    picture = Image.fromarray((whole * 255).round().astype(np.uint8))
    return picture.quantize(256, kmeans=8, dither=Image.Dither.NONE)


def _part(test: packed.Part, chosen: pd.DataFrame) -> packed.Part:
    """The chosen images, in their order. Raises ManifestError where the test part has them not, or otherwise."""
    position = {image: k for k, image in enumerate(test.rows["image"])}
    for image in chosen["image"]:
        if image not in position:
            raise ManifestError(f"the scores have {image}, which the manifest's test part lacks: run `dvc repro`")
    order = [position[image] for image in chosen["image"]]
    rows = test.rows.iloc[order].reset_index(drop=True)
    for column in ("label", "subtype", "patient"):
        odd = chosen.loc[rows[column] != chosen[column], "image"]
        if len(odd):
            raise ManifestError(f"the {column} of {odd.iloc[0]} differs in scores and manifest: run `dvc repro`")
    return packed.Part(rows, test.images, test.where[order])


def _folders(best: Path, contract: Mapping[str, Any]) -> dict[str, Path]:
    if contract["kind"] == "ensemble":
        return {name: best / "members" / name for name in contract["members"]}
    return {contract["name"]: best}


def _member(folder: Path, part: packed.Part, device: torch.device) -> Member:
    contract = bundle.contract(folder)
    network = inference.load(folder, contract)
    if part.images.shape[1] != contract["image_size"]:
        raise BundleError(
            f"{folder} was trained on pixels of {contract['image_size']}, "
            f"and the packed images have {part.images.shape[1]}: run `dvc repro`"
        )
    return Member(_frozen(network, device), contract, *last_map(network, contract["input_size"]))


def _randomised(member: Member, seed: int, device: torch.device) -> Member:
    contract = member.contract
    network, _ = backbones.create(
        contract["architecture"],
        input_size=contract["input_size"],
        dropout=contract["dropout"],
        weights="none",
        seed=seed,
    )
    network.normalise_with(member.network.normalisation)
    return Member(_frozen(network, device), contract, member.layer, member.side)


def _frozen(network: Network, device: torch.device) -> Network:
    return network.requires_grad_(False).eval().to(device)


def _require_same_model(
    members: Mapping[str, Member],
    contract: Mapping[str, Any],
    part: packed.Part,
    table: pd.DataFrame,
    best: Path,
    device: torch.device,
) -> None:
    """A picture must not carry the score of another model. Tolerant, since GPU and CPU differ a little."""
    found = []
    for one in members.values():
        logits = inference.logits(
            one.network, part, input_size=one.contract["input_size"], views=one.contract["views"], device=device
        )
        found.append(logits / (one.contract["temperature"] if contract["kind"] == "ensemble" else 1))
    said = table.set_index("image").loc[part.rows["image"], "logit"].to_numpy()
    odd = part.rows.loc[~np.isclose(np.mean(found, axis=0), said, rtol=0.02, atol=0.02), "image"]
    if len(odd):
        raise BundleError(f"{best} gives {odd.iloc[0]} another logit than the scores have: run `dvc repro`")


def _sides(network: Network, size: int) -> dict[str, int]:
    """Layer -> side of its square feature map, in the order in which a forward pass completes them."""
    sides: dict[str, int] = {}

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() == 4 and output.shape[2] == output.shape[3]:
                sides[name] = output.shape[3]

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in network.named_modules()]
    try:
        _logit(network, size)
    finally:
        for handle in handles:
            handle.remove()
    return sides


def _all_passes(network: Network, layer: str, size: int) -> bool:
    """Whether the logit no longer depends on the pixels once the gradient is cut at `layer`. Needs frozen weights."""
    handle = network.get_submodule(layer).register_forward_hook(lambda module, inputs, output: output.detach())
    try:
        return not _logit(network, size).requires_grad
    finally:
        handle.remove()


def _logit(network: Network, size: int) -> Tensor:
    return network(torch.zeros(1, 1, size, size, device=network.mean.device, requires_grad=True))


def _scaled(values: Maps) -> Maps:
    largest = values.max(axis=(1, 2), keepdims=True, initial=0)
    return np.divide(values, largest, out=np.zeros_like(values), where=largest > 0)


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
