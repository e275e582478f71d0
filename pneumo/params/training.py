"""Sections about networks and how they are trained."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from pneumo.params.replicates import Seeds
from pneumo.params.values import Count, Fraction, NonNegative, Positive, PositiveFraction, Rate, Section, Share, Share0

_ON_HUB = re.compile(r"hf-hub:(?P<hub>[\w.-]+/[\w.-]+(?:/[\w./-]+)?)(?:#sha256=(?P<sha256>[0-9a-f]{64}))?")
_WAYS = "expected 'imagenet', 'published', 'none', a .safetensors path or hf-hub:OWNER/NAME#sha256=…"


def _named_weights(weights: str) -> str:
    if weights.startswith("hf-hub:"):
        named = _ON_HUB.fullmatch(weights)
        if not named:
            raise ValueError("expected hf-hub:OWNER/NAME#sha256=… or hf-hub:OWNER/NAME/FILE#sha256=…")
        if not named["sha256"]:
            raise ValueError("add #sha256=… to it, which stands on the file's page, so that other bytes are not taken")
        return weights
    if weights not in ("imagenet", "published", "none") and not weights.endswith(".safetensors"):
        raise ValueError(_WAYS)
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


class Channels(Section):
    """Mean and standard deviation of pixels in [0, 1] for each channel of a network's input."""

    mean: tuple[float, ...]
    std: tuple[Rate, ...]


class Published(Section):
    """Published weights of an architecture: one file, wherever it comes from.

    `file`: the name under which it is kept. `origin`: pip:PACKAGE that contains it, hf-hub:OWNER/NAME/FILE, or an
    address. `layout`: names are timm's, or only the order is, or it is a whole pickled network (`module`).
    """

    trained_on: str
    licence: str
    file: Annotated[str, StringConstraints(pattern=r"^[\w.-]+\.(safetensors|pth|pt|bin)$")]
    bytes: Positive | None
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    origin: Annotated[str, StringConstraints(pattern=r"^(pip:[\w.-]+|hf-hub:[\w.-]+/[\w.-]+/[\w./-]+|https://.+)$")]
    layout: Literal["timm", "order", "module"]


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

    label_smoothing: Share0
    ema: Share0
    monitor: Literal["roc_auc", "loss", "stress_roc_auc", "stress_loss"]
    patience: Positive
    warmup: Share
    gradient_clip: Rate
    imbalance: Literal["weights", "sampling", "sites", "none"]
    compile: Annotated[bool, Field(strict=True)]
    devices: Positive
    nodes: Positive
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


class Start(Section):
    """What the starting weights decide: defaults that conf/model/ takes over into a `model.NAME`."""

    recipe: Literal["fine_tune", "from_scratch"]
    weights: Weights
    probe: Rate | None
    freeze_norm: Annotated[bool, Field(strict=True)]
    layer_decay: PositiveFraction


class Train(Training, Start, Seeds):
    """The section `train`: also the defaults that conf/model/ takes over into each `model.NAME`."""

    epochs: Count
    batch_size: Annotated[int, Field(strict=True, ge=2)]
    input: Literal["native", "small"]
    packaged: Start  # of a backbone whose weights come with pneumo


class Backbone(Section):
    """How one network is made and trained. `architecture`: one of our own, or a timm model with its pretrained tag."""

    architecture: str
    weights: Weights
    published: Published | None
    normalisation: Channels | None
    input_size: Annotated[int, Field(strict=True, ge=32, le=1024)]
    dropout: Annotated[float, Field(strict=True, ge=0, lt=1)]
    pool: Annotated[int, Field(strict=True, ge=1, le=16)]
    stages: Positive | None
    optimizer: Literal["rmsprop", "adamw", "sgd"]
    lr: Rate
    weight_decay: NonNegative
    probe: Rate | None
    freeze_norm: Annotated[bool, Field(strict=True)]
    layer_decay: PositiveFraction
    epochs: Count
    batch_size: Annotated[int, Field(strict=True, ge=2)]

    @model_validator(mode="after")
    def _has_what_it_starts_from(self) -> "Backbone":
        if self.weights in ("imagenet", "published") and self.published is None:
            raise ValueError(
                f"there are no published weights of {self.architecture} in conf/model/: set weights to none, to a "
                ".safetensors file, or to hf-hub:OWNER/NAME#sha256=…"
            )
        if self.weights == "imagenet" and self.published and not self.published.trained_on.startswith("ImageNet"):
            raise ValueError(f"its published weights are of {self.published.trained_on}: set weights to published")
        return self

    @property
    def source(self) -> Published | None:
        """The published weights to start from; None for a file of the user's, and from scratch."""
        if self.weights in ("imagenet", "published"):
            return self.published
        named = _ON_HUB.fullmatch(self.weights)
        return _of_hub(named) if named else None


def _of_hub(named: re.Match[str]) -> Published:
    owner, name, *inside = named["hub"].split("/", 2)
    path = inside[0] if inside else "model.safetensors"
    return Published(
        trained_on=f"{owner}/{name}",
        licence="see its page",
        file=f"{owner}-{name}-{Path(path).name}",
        bytes=None,
        sha256=named["sha256"],
        origin=f"hf-hub:{owner}/{name}/{path}",
        layout="timm",
    )


class BackboneFile(Backbone):
    """The section `model.NAME`: also the tables from which the recipe and train.input pick."""

    input_sizes: dict[Literal["native", "small"], Positive]
    recipe: Literal["fine_tune", "from_scratch"]
    lrs: dict[Literal["fine_tune", "from_scratch"], Rate]


class Runtime(Section):
    """What fixes floating-point results on a CPU: thread count and instruction set."""

    threads: Positive
    cpu_isa: Literal["sse4.1", "avx2", "avx512", "amx", "native"]
