"""The epochs: Lightning's Trainer with our callbacks, resumed where an interrupted run left off."""

import logging
import os
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader

from pneumo.data import packed
from pneumo.errors import TrainingError
from pneumo.models import runtime
from pneumo.training import balance, batches, checkpoints, processes
from pneumo.training.classifier import Classifier
from pneumo.training.progress import Curves, on_terminal, say

if TYPE_CHECKING:
    from pneumo.params import Backbone, Training

MODES = {"roc_auc": "max", "loss": "min", "stress_roc_auc": "max", "stress_loss": "min"}


def fit(
    classifier: Classifier,
    train_split: packed.Split,
    val_split: packed.Split,
    backbone: "Backbone",
    training: "Training",
    curves: Path,
    folder: Path,
) -> Trainer:
    """Fit `classifier` and leave the weights of its best epoch in it; curves go into `curves`.

    `folder`: of the checkpoints. Continues after the last completed epoch that is there, if any.
    """
    quieten()
    # Nothing reads it, and to fill it takes a GPU a third of its time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if training.compile:
        _require_compiler()
        classifier.network.compile()
    monitor, mode = f"val_{training.monitor}", MODES[training.monitor]
    best = ModelCheckpoint(folder, "best", monitor=monitor, mode=mode, save_weights_only=True)
    each = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    trainer = Trainer(
        max_epochs=backbone.epochs,
        accelerator={"cuda": "gpu", "cpu": "cpu"}[runtime.device(training.accelerator).type],
        devices=training.devices,
        num_nodes=training.nodes,
        precision=resolved_precision(training.precision, training.accelerator),
        use_distributed_sampler=False,  # pneumo.training.batches shares the order out
        gradient_clip_val=training.gradient_clip,
        deterministic=True,
        callbacks=[
            EarlyStopping(monitor, mode=mode, patience=training.patience, check_finite=False),
            Curves(curves, backbone.epochs),
            checkpoints.StayStopped(),
            *([RichProgressBar(leave=False)] if on_terminal() else []),
            best,
            each,  # after all whose state it holds
        ],
        plugins=[checkpoints.WholeFiles(), processes.environment(training)],
        enable_progress_bar=on_terminal(),
        logger=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
    )
    last = checkpoints.last(folder)
    if last:
        say(f"resuming the interrupted run: {last}")
    train_loader, val_loader = loaders(train_split, val_split, backbone.batch_size, training, seed=classifier.seed)
    try:
        trainer.fit(classifier, train_loader, val_loader, ckpt_path=last, weights_only=True)
    except SIGTERMException:  # a SystemExit that would say that all is well
        raise TrainingError("stopped by SIGTERM: the same run resumes after its last completed epoch") from None
    if trainer.is_global_zero:
        state = torch.load(best.best_model_path, weights_only=True, map_location="cpu")["state_dict"]
        classifier.cpu().load_state_dict(state)
    return trainer


def loaders(
    train_split: packed.Split, val_split: packed.Split, batch_size: int, training: "Training", *, seed: int
) -> tuple[DataLoader, DataLoader]:
    """Batches for training and for validation. Each process validates all images, so that none counts twice."""
    devices = training.nodes * training.devices
    if len(train_split) < batch_size * devices:
        raise TrainingError(
            f"{len(train_split)} training images do not fill one batch of {batch_size} on each of "
            f"{devices} devices: lower train.batch_size"
        )
    drawn = training.imbalance in ("sampling", "sites")
    weights = torch.from_numpy(balance.shares(train_split.rows, training.imbalance)) if drawn else None
    order = batches.Shuffled(len(train_split), seed, weights)
    device = runtime.device(training.accelerator).type
    return batches.loader(train_split, batch_size, device, order), batches.loader(val_split, batch_size, device)


def require_devices(training: "Training") -> None:
    """Raise TrainingError where several devices are asked for and there is no GPU."""
    on_cpu = runtime.device(training.accelerator).type == "cpu"
    if on_cpu and training.accelerator != "cpu" and training.devices > 1:
        raise TrainingError(f"train.devices is {training.devices}, and torch finds no GPU: use train.devices=1")


def resolved_precision(precision: str, accelerator: str) -> Any:
    """`auto`: bf16-mixed on a GPU that computes in it, else 32-true."""
    if precision != "auto":
        return precision
    on_gpu = runtime.device(accelerator).type == "cuda"
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"


def quieten() -> None:
    """Lightning's advice does not fit data that is in memory, or a folder that a run continues from on purpose."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        "does not have many workers",
        "treespec, LeafSpec.* is deprecated",
        "exists and is not empty",
        "The `srun` command is available",  # pneumo.training.processes decides
    ):
        warnings.filterwarnings("ignore", message=f".*{message}.*")


def _require_compiler() -> None:
    if not any(shutil.which(compiler) for compiler in ("c++", "g++", "clang++", os.environ.get("CXX", "c++"))):
        raise TrainingError(
            "train.compile is true, and no C++ compiler is on the PATH: install g++, or set it to false"
        )
