"""Loss and ROC AUC by epoch: written for `dvc plots` and the editor, and said in one line."""

import sys
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from pneumo.models.curves import CURVES


class Curves(Callback):
    """Writes each epoch's values into `folder`. They are part of a checkpoint: a resumed run has all of them."""

    def __init__(self, folder: Path, epochs: int) -> None:
        self.folder, self.epochs = folder, epochs
        self.rows: list[dict[str, float]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows = state["rows"]

    def on_fit_start(self, trainer: Trainer, _: Any) -> None:
        self.started, self.resumed = time.monotonic(), len(self.rows)
        self.live = _live(self.folder) if trainer.is_global_zero else None
        for row in self.rows:
            self._write(row)

    def on_train_epoch_end(self, trainer: Trainer, _: Any) -> None:
        values = {name: float(f"{float(trainer.callback_metrics[name]):.6g}") for name in CURVES}
        self.rows.append(values)
        if not trainer.is_global_zero:
            return
        self._write(values)
        done = len(self.rows)
        left = (time.monotonic() - self.started) / (done - self.resumed) * (self.epochs - done)
        say(f"epoch {done}/{self.epochs}  train loss {values['train_loss']:.4f}  val loss {values['val_loss']:.4f}  "
            f"val ROC AUC {values['val_roc_auc']:.4f}, under stress {values['val_stress_roc_auc']:.4f}  "
            f"at most {left:.0f} s left")  # fmt: skip

    def on_fit_end(self, trainer: Trainer, _: Any) -> None:
        if self.live:
            self.live.end()
            (self.folder / "metrics.json").unlink(missing_ok=True)  # the last epoch is not the one that is kept

    def _write(self, values: dict[str, float]) -> None:
        if self.live:
            for name, label in CURVES.items():
                self.live.log_metric(label, values[name])
            self.live.next_step()


def _live(folder: Path) -> Any:
    """A DVCLive writer. Training alone needs no DVC, so a machine without it gets no curves, and is told so."""
    try:
        from dvclive import Live
    except ImportError:
        return say("dvclive is not installed: no curves are written")
    return Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False)


def say(line: str) -> None:
    """Of several processes the first one speaks."""
    if first_process():
        print(line, flush=True)


def first_process() -> bool:
    """Also before the processes of a run have found each other."""
    return rank_zero_only.rank == 0  # type: ignore[attr-defined]


def on_terminal() -> bool:
    return sys.stderr.isatty()
