"""Train one backbone: data, Trainer, callbacks, best checkpoint -> bundle and validation scores."""

import hashlib
import json
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from pneumo import backbones, bundle, checkpoints, inference, manifest, packed, scores
from pneumo.augment import Augmentation
from pneumo.classifier import Classifier, of_epoch
from pneumo.curves import Curves, on_terminal, say
from pneumo.errors import TrainingError

MODES = {"roc_auc": "max", "loss": "min"}


class Batches(Dataset):
    """A split of the packed store that hands out whole batches: uint8 [B, S, S] and float labels [B]."""

    def __init__(self, part: packed.Part) -> None:
        self.part, self.labels = part, torch.from_numpy(part.labels)

    def __len__(self) -> int:
        return len(self.part)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.part.pixels(indices)), self.labels[list(indices)]


class Shuffled(Sampler):
    """An order of `count` rows that follows from seed and epoch alone, so that a resumed run has the same one."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed, self.epoch = count, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls it before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(of_epoch(self.seed, self.epoch))
        yield from torch.randperm(self.count, generator=generator).tolist()


def train(
    name: str,
    processed: Path,
    *,
    model: Path,
    curves: Path,
    interrupted: Path,
    backbone: Mapping[str, Any],
    augmentation: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> None:
    """Train `name`: weights, training.json and validation.csv (outputs on validation) in `model`, curves in `curves`.

    `backbone` and `augmentation` are the sections model.NAME and augment of params.yaml; `settings` is train without
    what model.NAME repeats. Only the train and val parts are read. A run of the same parameters, data and code that was
    interrupted is continued after its last completed epoch, from `interrupted`, to the same bytes.
    Raises TrainingError where the loss is not finite, or the process is told to end.
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
    module = Classifier(
        network,
        Augmentation(backbone["input_size"], **augmentation),
        input_size=backbone["input_size"],
        pos_weight=_pos_weight(parts["train"], settings["class_weights"]),
        warmup=settings["warmup"],
        seed=settings["seed"],
        **{key: backbone[key] for key in ("optimizer", "lr", "weight_decay")},
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
    run = {**sha256, "pixels": pixels, "versions": bundle.versions(), "device": device.type}
    trainer = fit(module, parts, settings, backbone, curves, checkpoints.folder(interrupted, run))
    if not trainer.is_global_zero:
        return
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
            "sha256": sha256,
            "versions": bundle.versions(),
        },
    )
    shutil.rmtree(interrupted)


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
    _quieten()
    monitor, mode = f"val_{settings['monitor']}", MODES[settings["monitor"]]
    best = ModelCheckpoint(folder, "best", monitor=monitor, mode=mode, save_weights_only=True)
    each = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    trainer = Trainer(
        max_epochs=backbone["epochs"],
        accelerator={"cuda": "gpu", "cpu": "cpu"}[inference.device(settings["accelerator"]).type],
        devices=settings["devices"],
        precision=_precision(settings["precision"], settings["accelerator"]),
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
        trainer.fit(module, *_loaders(parts, backbone["batch_size"], settings), ckpt_path=last, weights_only=True)
    except SIGTERMException:  # a SystemExit that would say that all is well
        raise TrainingError("told to end (SIGTERM): the same run continues after its last completed epoch") from None
    if trainer.is_global_zero:
        state = torch.load(best.best_model_path, weights_only=True, map_location="cpu")["state_dict"]
        module.cpu().load_state_dict(state)
    return trainer


def _loaders(
    parts: Mapping[str, packed.Part], batch_size: int, settings: Mapping[str, Any]
) -> tuple[DataLoader, DataLoader]:
    if len(parts["train"]) < batch_size * settings["devices"]:
        raise TrainingError(
            f"{len(parts['train'])} training images do not fill one batch of {batch_size} on each of "
            f"{settings['devices']} devices: lower train.batch_size"
        )
    order = Shuffled(len(parts["train"]), settings["seed"])

    def loader(split: str, **more: Any) -> DataLoader:
        # A generator of its own: a loader that starts would else draw from the one that augmentation draws from.
        common: dict[str, Any] = {"batch_size": batch_size, "collate_fn": _as_it_is, "generator": torch.Generator()}
        return DataLoader(Batches(parts[split]), **common, **more)

    return loader("train", sampler=order, drop_last=True), loader("val")


def _as_it_is(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return batch


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
