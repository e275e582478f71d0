"""The LightningModule: loss, optimiser, schedule and validation metrics around one network."""

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torchmetrics.classification import BinaryAUROC

from pneumo import augment
from pneumo.augment import Augmentation
from pneumo.backbones import Network
from pneumo.errors import TrainingError

OPTIMIZERS = {
    "rmsprop": lambda weights, lr, decay: torch.optim.RMSprop(weights, lr=lr, weight_decay=decay),
    "adamw": lambda weights, lr, decay: torch.optim.AdamW(weights, lr=lr, weight_decay=decay),
    "sgd": lambda weights, lr, decay: torch.optim.SGD(weights, lr=lr, weight_decay=decay, momentum=0.9, nesterov=True),
}


def of_epoch(seed: int, epoch: int) -> int:
    """A seed for each epoch, none of them that of another epoch or of another small seed."""
    return (seed + 1) * 1_000_003 + epoch * 1_009


class Classifier(LightningModule):
    """Trains `network` on batches of packed pixels, uint8 [B, S, S], and labels, float [B].

    lr: the peak of a one-cycle schedule that warms up over the share `warmup` of all steps and then falls along a
    cosine. pos_weight: weight of a pneumonia image in the cross-entropy, relative to a normal one.
    """

    pos_weight: Tensor

    def __init__(
        self,
        network: Network,
        augmentation: Augmentation,
        *,
        input_size: int,
        optimizer: str,
        lr: float,
        weight_decay: float,
        warmup: float,
        pos_weight: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.augmentation = augmentation
        self.input_size = input_size
        self.optimizer, self.lr, self.weight_decay, self.warmup = optimizer, lr, weight_decay, warmup
        self.seed = seed
        self.register_buffer("pos_weight", torch.tensor(pos_weight), persistent=False)
        self.roc_auc = BinaryAUROC()

    def on_train_epoch_start(self) -> None:
        """Augmentation and dropout of an epoch follow from seed and epoch alone, so that a resumed run has the same."""
        torch.manual_seed(of_epoch(self.seed, self.current_epoch) + self.global_rank)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        pixels, labels = batch
        loss = self._loss(self.network(self.augmentation(pixels)), labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(labels), sync_dist=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        pixels, labels = batch
        logits = self.network(augment.resize(pixels, self.input_size)).float()
        self.roc_auc.update(logits.sigmoid(), labels.int())  # of logits torchmetrics guesses by batch what they are
        self.log("val_loss", self._loss(logits, labels), batch_size=len(labels), sync_dist=True)
        self.log("val_roc_auc", self.roc_auc, batch_size=len(labels))

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        loss = F.binary_cross_entropy_with_logits(logits.float(), labels, pos_weight=self.pos_weight)
        if not torch.isfinite(loss):
            part = "training" if self.training else "validation"
            raise TrainingError(
                f"the {part} loss is {loss.item()} in epoch {self.current_epoch}, step {self.global_step}: "
                f"lower the learning rate (it peaks at {self.lr:g}), lower train.gradient_clip, "
                "or use train.precision=32-true"
            )
        return loss

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        optimizer = OPTIMIZERS[self.optimizer](self.network.parameters(), self.lr, self.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=self.lr,
            total_steps=steps,
            pct_start=max(self.warmup, min(2 / steps, 1.0)),  # OneCycleLR divides by zero at a warm-up of one step
            cycle_momentum=False,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
