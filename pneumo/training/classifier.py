"""The LightningModule: loss, optimiser, schedule and validation metrics around one network."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel
from torchmetrics.classification import BinaryAUROC

from pneumo.errors import TrainingError
from pneumo.models import perturb
from pneumo.models.backbones import Network
from pneumo.models.pixels import resize
from pneumo.training.augment import Augmentation

if TYPE_CHECKING:
    from pneumo.params import Augment, Backbone, Training

OPTIMIZERS: Mapping[str, Any] = {
    "rmsprop": lambda groups, lr, fused: torch.optim.RMSprop(groups, lr=lr),
    "adamw": lambda groups, lr, fused: torch.optim.AdamW(groups, lr=lr, fused=fused),
    "sgd": lambda groups, lr, fused: torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True, fused=fused),
}
Batch = tuple[Tensor, Tensor, Tensor]


def of_epoch(seed: int, epoch: int) -> int:
    """A seed for each epoch, none of them that of another epoch or of another small seed."""
    return (seed + 1) * 1_000_003 + epoch * 1_009


class Classifier(LightningModule):
    """Trains `network` on batches of packed pixels, uint8 [B, S, S], labels, float [B], and rows of the split, int [B].

    The sections model.NAME, augment and train of params.yaml. lr: the peak of a one-cycle schedule that warms up over
    the share `warmup` of all steps and then falls along a cosine. layer_decay: each layer learns at this factor of the
    rate of the layer above it. label_smoothing: a label is this far from certain. mixup: parameter of the Beta
    distribution by which pairs of images are mixed (Zhang et al. 2018), 0 for none. ema: decay of the running mean of
    the weights, which is then what is validated and saved; 0 for none. freeze_norm: batch normalisation keeps the
    statistics that it came with, with which the head of the probe was found; its scales and shifts are still learnt.
    pos_weight: weight of a pneumonia image in the cross-entropy, relative to a normal one.
    """

    pos_weight: Tensor

    def __init__(
        self,
        network: Network,
        backbone: "Backbone",
        augment: "Augment",
        training: "Training",
        *,
        seed: int,
        pos_weight: float,
    ) -> None:
        super().__init__()
        self.network = network
        self.backbone, self.augment, self.settings, self.seed = backbone, augment, training, seed
        self.augmentation = Augmentation(backbone.input_size, augment)
        self.averaged = _averaged(network, training.ema) if training.ema else None
        self.register_buffer("pos_weight", torch.tensor(pos_weight), persistent=False)
        self.roc_auc, self.stress_roc_auc = BinaryAUROC(), BinaryAUROC()

    @property
    def eval_network(self) -> Network:
        """The network that is validated and saved: with averaged weights if there are any."""
        return self.network if self.averaged is None else cast(Network, self.averaged.module)

    def on_train_epoch_start(self) -> None:
        """Augmentation and dropout of an epoch follow from seed and epoch alone, so that a resumed run has the same."""
        torch.manual_seed(of_epoch(self.seed, self.current_epoch) + self.global_rank)
        if self.backbone.freeze_norm:
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def training_step(self, batch: Batch, _: int) -> Tensor:
        pixels, labels, _rows = batch
        grey = self.augmentation(pixels)
        targets = labels * (1 - self.settings.label_smoothing) + self.settings.label_smoothing / 2
        if self.augment.mixup:
            grey, targets = _mixed(grey, targets, self.augment.mixup)
        loss = self._loss(self.network(grey), targets)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(labels), sync_dist=True)
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)

    def validation_step(self, batch: Batch, _: int) -> None:
        pixels, labels, rows = batch
        plain = resize(pixels, self.backbone.input_size)
        stress_logits = perturb.mixed(pixels, rows.tolist(), self.backbone.input_size)
        for prefix, grey, roc_auc in (("val", plain, self.roc_auc), ("val_stress", stress_logits, self.stress_roc_auc)):
            logits = self.eval_network(grey).float()
            roc_auc.update(logits.sigmoid(), labels.int())  # of logits torchmetrics guesses by batch what they are
            self.log(f"{prefix}_loss", self._loss(logits, labels), batch_size=len(labels), sync_dist=True)
            self.log(f"{prefix}_roc_auc", roc_auc, batch_size=len(labels))

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        loss = F.binary_cross_entropy_with_logits(logits.float(), labels, pos_weight=self.pos_weight)
        if not torch.isfinite(loss):
            part = "training" if self.training else "validation"
            raise TrainingError(
                f"the {part} loss is {loss.item()} in epoch {self.current_epoch}, step {self.global_step}: "
                f"lower the learning rate (it peaks at {self.backbone.lr:g}), lower train.gradient_clip, "
                "or use train.precision=32-true"
            )
        return loss

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """As Lightning, which refuses fused optimisers in all mixed precision; only 16-mixed scales the loss."""
        if gradient_clip_val is None or self.trainer.precision == "16-mixed":
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        else:
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            torch.nn.utils.clip_grad_norm_(weights, gradient_clip_val)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        groups = _groups(self.network, self.backbone.lr, self.backbone.weight_decay, self.backbone.layer_decay)
        fused = self.trainer.precision != "16-mixed"  # whose loss scaling and clipping a fused step would bypass
        optimizer = OPTIMIZERS[self.backbone.optimizer](groups, self.backbone.lr, fused)
        steps = max(3, int(self.trainer.estimated_stepping_batches))  # OneCycleLR divides by zero at fewer
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in groups],
            total_steps=steps,
            pct_start=max(
                self.settings.warmup, min(2 / steps, 1.0)
            ),  # OneCycleLR divides by zero at a warm-up of one step
            cycle_momentum=False,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _groups(network: Network, lr: float, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
    """Weights by their rate and decay. Biases and the scales of normalisation do not decay."""
    if layer_decay == 1:
        body: list[dict[str, Any]] = [
            {
                "params": [weight for weight in network.body.parameters() if weight.ndim > 1],
                "weight_decay": weight_decay,
            },
            {"params": [weight for weight in network.body.parameters() if weight.ndim <= 1], "weight_decay": 0.0},
        ]
    else:
        from timm.optim import param_groups_layer_decay  # timm has already been imported: the network is one of its

        body = param_groups_layer_decay(network.body, weight_decay, layer_decay=layer_decay)
    head: dict[str, Any] = {"params": list(network.head.parameters()), "weight_decay": weight_decay}
    return [
        {"params": group["params"], "weight_decay": group["weight_decay"], "lr": lr * group.get("lr_scale", 1.0)}
        for group in (*body, head)
        if group["params"]
    ]


def _mixed(grey: Tensor, targets: Tensor, mixup: float) -> tuple[Tensor, Tensor]:
    """Each image and target mixed with those of another sample of the batch."""
    shares = torch.full((len(grey),), mixup, device=grey.device)
    share = torch.distributions.Beta(shares, shares).sample()
    other = torch.randperm(len(grey), device=grey.device)
    of_grey = share.view(-1, 1, 1, 1)
    return of_grey * grey + (1 - of_grey) * grey[other], share * targets + (1 - share) * targets[other]


def _averaged(network: Network, decay: float) -> AveragedModel:
    """The exponential moving average of weights and of the statistics of normalisation. At first it forgets faster, so
    that the random start does not stay in it: after n steps the decay is at most (1 + n) / (10 + n).
    """

    def update(averages: Sequence[Tensor], current: Sequence[Tensor], steps: Tensor | int) -> None:
        now = min(decay, (1 + float(steps)) / (10 + float(steps)))
        for average, value in zip(averages, current, strict=True):
            if average.is_floating_point():
                average.lerp_(value, 1 - now)
            else:
                average.copy_(value)

    averaged = AveragedModel(network, multi_avg_fn=update, use_buffers=True)
    return averaged.requires_grad_(False)
