"""Models with random weights in folders as the pipeline leaves them, and images to try them on."""

import hashlib

import numpy as np
import pandas as pd
import torch
from PIL import Image

from pneumo import files
from pneumo.data import manifest, packed
from pneumo.models import backbones, bundle

MANIFEST = hashlib.sha256(b"manifest").hexdigest()
DECIDED = {
    "temperature": 1.5,
    "threshold": 0.5,
    "threshold_policy": {"scores": "plain", "policy": "fixed", "value": 0.5, "error_rates": [0.05, 0.01]},
    "margins": {"5%": 0.5, "1%": None},
}


def write_backbone(
    folder, name, *, architecture="cnn10", packed=40, size=32, seed=0, flip=False, zooms=(1.0,), fit="stretch"
):
    network, _ = backbones.create(architecture, input_size=size, dropout=0.0, weights="none", seed=seed)
    _awake(network, size, seed)
    about = {
        "name": name,
        "kind": "backbone",
        "architecture": architecture,
        "image_size": packed,
        "fit": fit,
        "input_size": size,
        "normalisation": vars(network.normalisation),
        "dropout": 0.0,
        "pool": 1,
        "stages": None,
        "labels": ["normal", "pneumonia"],
        "parameters": backbones.parameters(network),
        "flops": 1,
        "weights": "none",
        "sha256": {"manifest": MANIFEST},
        "versions": bundle.versions(),
    }
    bundle.write_trained(folder, network.state_dict(), about)
    views = {"views": {"flip": flip, "zooms": list(zooms)}}
    files.write_json(folder / "model.json", bundle.training_json(folder) | views | DECIDED)
    return folder


def _awake(network, size, seed):
    """Statistics of batch normalisation as training leaves them; with those of a new network all images look alike."""
    coarse = torch.rand(16, 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    films = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)
    linear = network.head[1]
    with torch.no_grad():
        for _ in range(30):
            network.train()(films)
        logits = network.eval()(films)
        linear.bias.fill_(float((linear.bias - logits.mean()) / logits.std()))
        linear.weight /= logits.std()


def write_ensemble(folder, **members):
    """`members`: name -> arguments of write_backbone."""
    for name, wanted in members.items():
        write_backbone(folder / "members" / name, name, **wanted)
    hashes = {name: bundle.model_json(folder / "members" / name)["sha256"]["weights"] for name in members}
    model_json = {
        "name": "ensemble",
        "kind": "ensemble",
        "members": hashes,
        "labels": ["normal", "pneumonia"],
        "parameters": 1,
        "flops": 1,
        "weights": "none",
        "sha256": {"manifest": MANIFEST},
    }
    files.write_json(folder / "model.json", model_json | DECIDED)
    return folder


def draw(folder, count, *, sides=(60, 50), suffix=".png"):
    """Files of smooth noise, no two alike; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for seed in range(count):
        coarse = np.random.default_rng(seed).integers(0, 256, (6, 5), dtype=np.uint8)
        paths.append(folder / f"{seed:03}{suffix}")
        Image.fromarray(coarse).resize(sides, Image.Resampling.BICUBIC).save(paths[-1])
    return paths


def write_processed(folder, size, *, train=60, val=30):
    """Packed images of smooth noise, as preprocess leaves them."""
    folder.mkdir(parents=True)
    rows = []
    with packed.Writer(folder / "images.npy", size) as writer:
        for split, count in (("test", 4), ("train", train), ("val", val)):
            for at in range(count):
                coarse = np.random.default_rng(len(rows)).integers(0, 256, (6, 5), dtype=np.uint8)
                writer.append(np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)))
                rows.append(
                    {"image": f"{split}/{at:03}.png", "label": at % 2, "split": split, "patient": str(len(rows))}
                )
    fixed = {"subtype": "unknown", "source_split": "train", "width": size, "height": size, "sha256": "0"}
    manifest.write(pd.DataFrame(rows).assign(**fixed), folder / "manifest.csv")
    return folder


def write_exported(folder, **wanted):
    """An exported model in `folder`/best, with what it was made of beside it."""
    from pneumo.export.export import export

    size = wanted.get("packed", 40)
    processed = write_processed(folder / "processed", size)
    export(write_backbone(folder / "selected", "tiny", **wanted), processed, folder / "best", film_views=["PA", "AP"])
    return folder / "best"
