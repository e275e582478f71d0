"""Train one backbone: data, Trainer, callbacks, best checkpoint -> bundle and validation scores."""

import hashlib
import json
import logging
import shutil
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, RichProgressBar
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pneumo import backbones, bundle, inference, manifest, packed, scores
from pneumo.augment import Augmentation
from pneumo.classifier import Classifier
from pneumo.errors import TrainingError

MODES = {"roc_auc": "max", "loss": "min"}
CURVES = {"train_loss": "train/loss", "val_loss": "val/loss", "val_roc_auc": "val/roc_auc"}


class Batches(Dataset):
    """A split of the packed store that hands out whole batches: uint8 [B, S, S] and float labels [B]."""

    def __init__(self, part: packed.Part) -> None:
        self.part, self.labels = part, torch.from_numpy(part.labels)

    def __len__(self) -> int:
        return len(self.part)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.part.pixels(indices)), self.labels[list(indices)]


def train(
    name: str,
    processed: Path,
    *,
    model: Path,
    curves: Path,
    checkpoints: Path,
    backbone: Mapping[str, Any],
    augmentation: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> None:
    """Train `name`: weights, training.json and validation.csv (outputs on validation) in `model`, curves in `curves`.

    `backbone` and `augmentation` are the sections model.NAME and augment of params.yaml; `settings` is train without
    what model.NAME repeats. Only the train and val parts are read.
    Raises TrainingError where the loss is not finite.
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
    classifier = Classifier(
        network,
        Augmentation(backbone["input_size"], **augmentation),
        input_size=backbone["input_size"],
        pos_weight=_pos_weight(parts["train"], settings["class_weights"]),
        warmup=settings["warmup"],
        **{key: backbone[key] for key in ("optimizer", "lr", "weight_decay")},
    )
    say(f"{name}: {backbone['architecture']}, {backbones.parameters(network) / 1e6:.1f} M parameters, "
        f"{starting_point(backbone['weights'])}, {backbone['input_size']} px, "
        f"{len(parts['train'])} training and {len(parts['val'])} validation images")  # fmt: skip
    trainer = fit(classifier, parts, settings, backbone, curves, checkpoints)
    if not trainer.is_global_zero:
        return
    device = inference.device(settings["accelerator"])
    logits = inference.logits(network, parts["val"], input_size=backbone["input_size"], device=device)
    scores.write(scores.table(parts["val"].rows, logits), model / "validation.csv")
    bundle.write_trained(
        model,
        network.state_dict(),
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
            "flops": backbones.flops(network, backbone["input_size"]),
            "weights": Path(backbone["weights"]).name,
            "sha256": {
                "manifest": manifest.digest(processed / "manifest.csv"),
                "params": _digest({"model": backbone, "augment": augmentation, "train": settings}),
                "code": bundle.code_sha256(),
                "starting_weights": weights_sha256,
            },
            "versions": bundle.versions(),
        },
    )


def fit(
    classifier: Classifier,
    parts: Mapping[str, packed.Part],
    settings: Mapping[str, Any],
    backbone: Mapping[str, Any],
    curves: Path,
    checkpoints: Path,
) -> Trainer:
    """Fit `classifier` and leave the weights of its best epoch in it; `checkpoints` is gone afterwards."""
    _quieten()
    monitor, mode = f"val_{settings['monitor']}", MODES[settings["monitor"]]
    shutil.rmtree(checkpoints, ignore_errors=True)
    best = ModelCheckpoint(checkpoints, "best", monitor=monitor, mode=mode, save_weights_only=True)
    trainer = Trainer(
        max_epochs=backbone["epochs"],
        accelerator={"cuda": "gpu", "cpu": "cpu"}[inference.device(settings["accelerator"]).type],
        devices=settings["devices"],
        precision=_precision(settings["precision"], settings["accelerator"]),
        gradient_clip_val=settings["gradient_clip"],
        deterministic=True,
        callbacks=[
            best,
            EarlyStopping(monitor, mode=mode, patience=settings["patience"], check_finite=False),
            Curves(curves, backbone["epochs"]),
            *([RichProgressBar(leave=False)] if sys.stderr.isatty() else []),
        ],
        enable_progress_bar=sys.stderr.isatty(),
        logger=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=checkpoints,
    )
    trainer.fit(classifier, *_loaders(parts, backbone["batch_size"], settings))
    if trainer.is_global_zero:
        state = torch.load(best.best_model_path, weights_only=True, map_location="cpu")["state_dict"]
        classifier.cpu().load_state_dict(state)
        shutil.rmtree(checkpoints, ignore_errors=True)
    return trainer


def _loaders(
    parts: Mapping[str, packed.Part], batch_size: int, settings: Mapping[str, Any]
) -> tuple[DataLoader, DataLoader]:
    if len(parts["train"]) < batch_size * settings["devices"]:
        raise TrainingError(
            f"{len(parts['train'])} training images do not fill one batch of {batch_size} on each of "
            f"{settings['devices']} devices: lower train.batch_size"
        )
    generator = torch.Generator().manual_seed(settings["seed"])
    common: dict[str, Any] = {"batch_size": batch_size, "collate_fn": _as_it_is}
    return (
        DataLoader(Batches(parts["train"]), shuffle=True, drop_last=True, generator=generator, **common),
        DataLoader(Batches(parts["val"]), **common),
    )


def _as_it_is(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return batch


class Curves(Callback):
    """Writes loss and validation ROC AUC after each epoch for `dvc plots` and the editor, and says them in one line."""

    def __init__(self, folder: Path, epochs: int) -> None:
        self.folder, self.epochs = folder, epochs

    def on_train_start(self, trainer: Trainer, _: Any) -> None:
        self.started = time.monotonic()
        self.live = _live(self.folder) if trainer.is_global_zero else None

    def on_train_epoch_end(self, trainer: Trainer, _: Any) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not trainer.is_global_zero:
            return
        if self.live:
            for name, label in CURVES.items():
                self.live.log_metric(label, float(f"{values[name]:.6g}"))
            self.live.next_step()
        done = trainer.current_epoch + 1
        left = (time.monotonic() - self.started) / done * (self.epochs - done)
        say(f"epoch {done}/{self.epochs}  train loss {values['train_loss']:.4f}  val loss {values['val_loss']:.4f}  "
            f"val ROC AUC {values['val_roc_auc']:.4f}  at most {left:.0f} s left")  # fmt: skip

    def on_train_end(self, trainer: Trainer, _: Any) -> None:
        if self.live:
            self.live.end()
            (self.folder / "metrics.json").unlink()  # the last epoch is not the one that is kept


def _live(folder: Path) -> Any:
    """A DVCLive writer. Training alone needs no DVC, so a machine without it gets no curves, and is told so."""
    try:
        from dvclive import Live
    except ImportError:
        return say("dvclive is not installed: no curves are written")
    return Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False)


def _require_devices(accelerator: str, devices: int) -> None:
    if inference.device(accelerator).type == "cpu" and accelerator != "cpu" and devices > 1:
        raise TrainingError(f"train.devices is {devices}, and torch finds no GPU: use train.devices=1")


def _pos_weight(part: packed.Part, class_weights: str) -> float:
    pneumonia = float(part.labels.sum())
    return (len(part) - pneumonia) / pneumonia if class_weights == "balanced" else 1.0


def _precision(precision: str, accelerator: str) -> Any:
    if precision != "auto":
        return precision
    on_gpu = inference.device(accelerator).type == "cuda"
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"


def starting_point(weights: str) -> str:
    """How people say where training starts."""
    return {"none": "from scratch", "imagenet": "from ImageNet weights"}.get(weights, f"from {Path(weights).name}")


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=dict).encode()).hexdigest()


def _quieten() -> None:
    """Lightning's advice on workers does not fit data that is already in memory."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.* is deprecated.*")


def say(line: str) -> None:
    print(line, flush=True)
