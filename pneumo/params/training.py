"""Sections about networks and how they are trained."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from pneumo.params.replicates import Seeds
from pneumo.params.values import Count, Fraction, NonNegative, Positive, PositiveFraction, Rate, Section, Share, Share0


def _named_weights(weights: str) -> str:
    if weights not in ("imagenet", "none") and not weights.endswith(".safetensors"):
        raise ValueError("expected 'imagenet', 'none' or a .safetensors path")
    if weights.endswith(".safetensors") and not Path(weights).is_file():
        raise ValueError(_no_such_file(weights))
    return weights


def _no_such_file(path: str) -> str:
    """Says where the file is if `path` starts with ~, or if a queued run works in a copy of the project, DVC_ROOT."""
    with suppress(RuntimeError):  # no such user
        elsewhere = Path(os.environ.get("DVC_ROOT", ""), Path(path).expanduser()).absolute()
        if elsewhere.is_file():
            return f"there is no such file here; give the whole path, {elsewhere}"
    return "there is no such file"


Weights = Annotated[str, AfterValidator(_named_weights)]


class Augment(Section):
    """Strength of each random change to a training image; 0 (or equal bounds) switches it off."""

    rotate: Annotated[float, Field(strict=True, ge=0, le=180)]  # degrees to either side
    area: tuple[PositiveFraction, PositiveFraction]  # share of the field that a random crop keeps
    aspect: Annotated[float, Field(strict=True, ge=1, le=4)]  # width to height of the crop, up to this or its inverse
    shift: Annotated[float, Field(strict=True, ge=0, le=0.5)]  # of the crop beyond the border, in shares of the field
    flip: Fraction  # probability of a left-right mirror image
    brightness: Annotated[float, Field(strict=True, ge=0, lt=1)]
    contrast: Annotated[float, Field(strict=True, ge=0, lt=1)]
    gamma: Annotated[float, Field(strict=True, ge=1, le=4)]
    local_contrast: Fraction  # probability
    blur: Fraction  # probability
    noise: Fraction  # probability
    erase: Fraction  # probability
    mixup: NonNegative  # parameter of the Beta distribution of the share of another image

    @field_validator("area")
    @classmethod
    def _ordered(cls, area: tuple[float, float]) -> tuple[float, float]:
        if area[0] > area[1]:
            raise ValueError("the lower bound comes first")
        return area


class Device(Section):
    accelerator: Literal["auto", "cpu", "gpu"]


class Training(Device):
    """How every backbone is trained; a backbone's own values stand in `model.NAME`, its seed in `replicates.NAME`."""

    probe: Rate | None
    label_smoothing: Share0
    ema: Share0
    monitor: Literal["roc_auc", "loss", "stress_roc_auc", "stress_loss"]
    patience: Positive
    warmup: Share
    gradient_clip: Rate
    imbalance: Literal["weights", "sampling", "sites", "none"]
    compile: Annotated[bool, Field(strict=True)]
    devices: Positive
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


class Train(Training, Seeds):
    """The section `train`: also the defaults that conf/model/ takes over into each `model.NAME`."""

    recipe: Literal["fine_tune", "from_scratch"]
    epochs: Count
    batch_size: Annotated[int, Field(strict=True, ge=2)]
    weights: Weights
    input: Literal["native", "small"]
    layer_decay: PositiveFraction


class Backbone(Section):
    """How one network is made and trained. `architecture`: one of our own, or a timm model with its pretrained tag."""

    architecture: str
    weights: Weights
    input_size: Annotated[int, Field(strict=True, ge=32, le=1024)]
    dropout: Annotated[float, Field(strict=True, ge=0, lt=1)]
    pool: Annotated[int, Field(strict=True, ge=1, le=16)]
    stages: Positive | None
    optimizer: Literal["rmsprop", "adamw", "sgd"]
    lr: Rate
    weight_decay: NonNegative
    layer_decay: PositiveFraction
    epochs: Count
    batch_size: Annotated[int, Field(strict=True, ge=2)]


class BackboneFile(Backbone):
    """The section `model.NAME`: also the tables from which the recipe and train.input pick."""

    input_sizes: dict[Literal["native", "small"], Positive]
    lrs: dict[Literal["fine_tune", "from_scratch"], Rate]


class Runtime(Section):
    """What fixes floating-point results on a CPU: thread count and instruction set."""

    threads: Positive
    cpu_isa: Literal["sse4.1", "avx2", "avx512", "amx", "native"]
