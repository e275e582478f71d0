"""What an interrupted training left, picked up again only by the very same one.

A run is named by a hash of everything that its result depends on: parameters, data, code, libraries, starting weights,
device and the settings of runtime. Its checkpoints lie in a folder of that name, which git and DVC ignore, and
which is deleted when the run is done. Several clones may share the folder above it.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.plugins.io import TorchCheckpointIO

from pneumo.errors import TrainingError
from pneumo.training.fingerprint import digest
from pneumo.training.progress import first_process, say

LAST = "last.ckpt"
RUNTIME = ("OMP_NUM_THREADS", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR", "CUBLAS_WORKSPACE_CONFIG")


def folder(home: Path, depends_on: Mapping[str, Any], *, cleans_up: bool = True) -> Path:
    """The folder below `home` of the run that `depends_on` names. Those of other runs are deleted, for only a run
    with all that they depended on could resume them. Of several processes one `cleans_up`.
    """
    about = {
        **depends_on,
        "runtime": {name: os.environ.get(name) for name in RUNTIME},
        "threads": torch.get_num_threads(),
        "place": str(home.resolve()),  # checkpoints name each other by their full path
    }
    name = digest(about)[:16]
    for other in home.iterdir() if cleans_up and home.is_dir() else []:
        if other.name not in (name, f"damaged-{name}"):
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    return home / name


def last(folder: Path) -> Path | None:
    """The checkpoint of the last completed epoch, if there is one that can be read.

    Where a file cannot be read, all of them are put aside, and None: the run starts over.
    """
    if not (folder / LAST).is_file():
        return None
    for path in sorted(folder.glob("*.ckpt")):
        try:
            torch.load(path, weights_only=True, map_location="cpu")
        except Exception as error:  # EOFError, RuntimeError, UnpicklingError, ...: there is no common base
            aside = folder.with_name(f"damaged-{folder.name}")
            reason = (str(error) or type(error).__name__).splitlines()[0][:150]
            say(f"{path} cannot be read ({reason}): training starts over; the checkpoints are kept in {aside}")
            if first_process():
                shutil.rmtree(aside, ignore_errors=True)
                folder.rename(aside)
            return None
    return folder / LAST


def remove(home: Path) -> None:
    """Delete the checkpoints below `home` but those put aside."""
    for folder in list(home.iterdir()) if home.is_dir() else []:
        if not folder.name.startswith("damaged-"):
            shutil.rmtree(folder, ignore_errors=True)
    if home.is_dir() and not any(home.iterdir()):
        home.rmdir()


class Claimed:
    """The folder of a run below one that several clones share, held against a second process that runs the very same.

    Two of them would take turns with the checkpoint of the best epoch. The system lets go of it when the process ends.
    """

    def __init__(self, folder: Path) -> None:
        import fcntl  # not on Windows

        self.folder, self.path = folder, folder.with_name(f"{folder.name}.lock")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = self.path.open("a")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(
                f"another process is training the very same network, with checkpoints in {folder}: wait until it has "
                f"ended; if its machine is gone, delete {self.path}"
            ) from None

    def remove(self) -> None:
        """Delete the checkpoints of this run alone."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.path.unlink(missing_ok=True)
        self.file.close()


class WholeFiles(TorchCheckpointIO):
    """A checkpoint takes its name only when all of it is written, so that a process may be killed while it writes."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        part = Path(f"{path}.part")
        part.parent.mkdir(parents=True, exist_ok=True)
        torch.save(checkpoint, part)
        part.replace(path)


class StayStopped(Callback):
    """A run that stopped early and was killed before it was written out does not train on when it is resumed."""

    def on_fit_start(self, trainer: Trainer, _: Any) -> None:
        stops = [callback for callback in trainer.callbacks if isinstance(callback, EarlyStopping)]  # type: ignore[attr-defined]
        if any(callback.wait_count >= callback.patience for callback in stops):
            trainer.should_stop = True
