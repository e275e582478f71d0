"""Train one backbone: linear probe, Trainer, callbacks, best checkpoint -> bundle."""

import hashlib
import json
import logging
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader

from pneumo import backbones, bundle, checkpoints, feeding, inference, manifest, packed, probe
from pneumo.augment import Augmentation
from pneumo.backbones import Network
from pneumo.classifier import Classifier
from pneumo.curves import Curves, first_process, on_terminal, say
from pneumo.errors import TrainingError

MODES = {"roc_auc": "max", "loss": "min", "stressed_roc_auc": "max", "stressed_loss": "min"}


def train(
    name: str,
    processed: Path,
    *,
    model: Path,
    curves: Path,
    interrupted: Path,
    features: Path,
    backbone: Mapping[str, Any],
    augmentation: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> None:
    """Train `name`: weights and training.json in `model`, curves in `curves`.

    `backbone` and `augmentation` are the sections model.NAME and augment of params.yaml; `settings` is train without
    what model.NAME repeats. Only the train and val parts are read. Features for the linear probe are kept in
    `features`. A run of the same parameters, data and code that was interrupted is continued after its last completed
    epoch, from `interrupted`, to the same bytes.
    Raises TrainingError where the loss is not finite, the process is told to end, or nothing is left to train.
    """
    _require_devices(settings["accelerator"], settings["devices"])
    parts = {split: packed.read(processed, split) for split in ("train", "val")}
    seed_everything(settings["seed"], verbose=False)
    network, weights_sha256 = backbones.create(
        backbone["architecture"],
        input_size=backbone["input_size"],
        dropout=backbone["dropout"],
        weights=backbone["weights"],
        seed=settings["seed"],
    )
    say(f"{name}: {backbone['architecture']}, {backbones.parameters(network) / 1e6:.1f} M parameters, "
        f"{starting_point(backbone['weights'])}, {backbone['input_size']} px, "
        f"{len(parts['train'])} training and {len(parts['val'])} validation images")  # fmt: skip
    sha256 = {
        "manifest": manifest.digest(processed / "manifest.csv"),
        "params": _digest({"model": backbone, "augment": augmentation, "train": settings}),
        "code": bundle.code_sha256(),
        "starting_weights": weights_sha256,
    }
    device = inference.device(settings["accelerator"])
    with (processed / "images.npy").open("rb") as file:
        pixels = hashlib.file_digest(file, "sha256").hexdigest()
    depends_on = {"pixels": pixels, "versions": bundle.versions(), "device": device.type, **sha256}
    if settings["probe"] and weights_sha256:
        probe.initialise_head(
            network,
            parts["train"],
            input_size=backbone["input_size"],
            strength=settings["probe"],
            balanced=settings["imbalance"] != "none",
            device=device,
            cache=features,
            depends_on={
                "architecture": backbone["architecture"],
                "starting_weights": weights_sha256,
                **{key: depends_on[key] for key in ("pixels", "manifest", "versions", "device", "code")},
            },
        )
    kept = network
    if backbone["epochs"]:
        module = _classifier(network, parts["train"], backbone, augmentation, settings)
        folder = checkpoints.folder(interrupted, depends_on, mine=first_process())
        trainer = fit(module, parts, settings, backbone, curves, folder)
        if not trainer.is_global_zero:
            return
        kept = module.kept
    elif not (settings["probe"] and weights_sha256):
        raise TrainingError(
            f"model.{name}.epochs is 0, which leaves the linear probe alone, and there is none: it needs train.probe "
            f"and starting weights (model.{name}.weights is {backbone['weights']})"
        )
    else:
        (curves / "plots/metrics").mkdir(parents=True, exist_ok=True)  # there are no epochs to draw
    bundle.write_trained(
        model,
        kept.state_dict(),
        {
            "name": name,
            "kind": "backbone",
            "architecture": backbone["architecture"],
            "image_size": parts["val"].images.shape[1],
            "input_size": backbone["input_size"],
            "normalisation": vars(network.normalisation),
            "dropout": backbone["dropout"],
            "labels": ["normal", "pneumonia"],
            "parameters": backbones.parameters(network),
            "flops": backbones.flops(kept, backbone["input_size"]),
            "weights": Path(backbone["weights"]).name,
            "sha256": sha256,
            "versions": bundle.versions(),
        },
    )
    shutil.rmtree(interrupted, ignore_errors=True)


def fit(
    module: Classifier,
    parts: Mapping[str, packed.Part],
    settings: Mapping[str, Any],
    backbone: Mapping[str, Any],
    curves: Path,
    folder: Path,
) -> Trainer:
    """Fit `module`, from the last completed epoch in `folder` if there is one, and leave the weights of its best epoch
    in it.
    """
    quieten()
    if settings["compile"]:
        _require_compiler()
        module.network.compile()
    monitor, mode = f"val_{settings['monitor']}", MODES[settings["monitor"]]
    best = ModelCheckpoint(folder, "best", monitor=monitor, mode=mode, save_weights_only=True)
    each = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    trainer = Trainer(
        max_epochs=backbone["epochs"],
        accelerator={"cuda": "gpu", "cpu": "cpu"}[inference.device(settings["accelerator"]).type],
        devices=settings["devices"],
        precision=resolved_precision(settings["precision"], settings["accelerator"]),
        use_distributed_sampler=False,  # pneumo.feeding shares the order out
        gradient_clip_val=settings["gradient_clip"],
        deterministic=True,
        callbacks=[
            EarlyStopping(monitor, mode=mode, patience=settings["patience"], check_finite=False),
            Curves(curves, backbone["epochs"]),
            checkpoints.StayStopped(),
            *([RichProgressBar(leave=False)] if on_terminal() else []),
            best,
            each,  # after all whose state it holds
        ],
        plugins=[checkpoints.WholeFiles()],
        enable_progress_bar=on_terminal(),
        logger=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
    )
    last = checkpoints.last(folder)
    if last:
        say(f"continuing the run that was interrupted: {last}")
    try:
        trainer.fit(module, *loaders(parts, backbone["batch_size"], settings), ckpt_path=last, weights_only=True)
    except SIGTERMException:  # a SystemExit that would say that all is well
        raise TrainingError("told to end (SIGTERM): the same run continues after its last completed epoch") from None
    if trainer.is_global_zero:
        state = torch.load(best.best_model_path, weights_only=True, map_location="cpu")["state_dict"]
        module.cpu().load_state_dict(state)
    return trainer


def loaders(
    parts: Mapping[str, packed.Part], batch_size: int, settings: Mapping[str, Any]
) -> tuple[DataLoader, DataLoader]:
    """Batches for training and for validation. Each process validates all images, so that none counts twice."""
    if len(parts["train"]) < batch_size * settings["devices"]:
        raise TrainingError(
            f"{len(parts['train'])} training images do not fill one batch of {batch_size} on each of "
            f"{settings['devices']} devices: lower train.batch_size"
        )
    weights = feeding.balanced(parts["train"].labels) if settings["imbalance"] == "sampling" else None
    order = feeding.Shuffled(len(parts["train"]), settings["seed"], weights)
    device = inference.device(settings["accelerator"]).type
    train = feeding.loader(parts["train"], batch_size, device, order)
    return train, feeding.loader(parts["val"], batch_size, device)


def _classifier(
    network: Network,
    part: packed.Part,
    backbone: Mapping[str, Any],
    augmentation: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Classifier:
    changes = {key: value for key, value in augmentation.items() if key != "mixup"}
    return Classifier(
        network,
        Augmentation(backbone["input_size"], **changes),
        pos_weight=_pos_weight(part, settings["imbalance"]),
        mixup=augmentation["mixup"],
        **{key: settings[key] for key in ("warmup", "label_smoothing", "ema", "seed")},
        **{key: backbone[key] for key in ("input_size", "optimizer", "lr", "weight_decay", "layer_decay")},
    )


def _require_devices(accelerator: str, devices: int) -> None:
    if inference.device(accelerator).type == "cpu" and accelerator != "cpu" and devices > 1:
        raise TrainingError(f"train.devices is {devices}, and torch finds no GPU: use train.devices=1")


def _require_compiler() -> None:
    if not any(shutil.which(one) for one in ("c++", "g++", "clang++", os.environ.get("CXX", "c++"))):
        raise TrainingError(
            "train.compile is true, and there is no C++ compiler on the PATH: install g++, or set false"
        )


def _pos_weight(part: packed.Part, imbalance: str) -> float:
    pneumonia = float(part.labels.sum())
    return (len(part) - pneumonia) / pneumonia if imbalance == "weights" else 1.0


def resolved_precision(precision: str, accelerator: str) -> Any:
    """`auto`: bf16-mixed on a GPU that computes in it, else 32-true."""
    if precision != "auto":
        return precision
    on_gpu = inference.device(accelerator).type == "cuda"
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"


def starting_point(weights: str) -> str:
    """How people say where training starts."""
    return {"none": "from scratch", "imagenet": "from ImageNet weights"}.get(weights, f"from {Path(weights).name}")


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=dict).encode()).hexdigest()


def quieten() -> None:
    """Lightning's advice does not fit data that is in memory, or a folder that a run continues from on purpose."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in ("does not have many workers", "treespec, LeafSpec.* is deprecated", "exists and is not empty"):
        warnings.filterwarnings("ignore", message=f".*{message}.*")
