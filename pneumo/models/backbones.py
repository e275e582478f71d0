"""Name -> network with a one-logit head. Input: grey pixels in [0, 1], [B, 1, H, W]; output: logits [B].

`cnn` and `cnn10` are the project's own; every other architecture is a timm model. `create` is the one place that
resolves a name.
"""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pneumo import files
from pneumo.errors import ParamsError, WeightsError
from pneumo.models import own, published

if TYPE_CHECKING:
    from pneumo.params import Published

# Of published weights: their classifiers, and thresholds of torchxrayvision's.
LEFT_OUT = ("fc.", "head.", "classifier.", "pre_logits.", "AuxLogits.", "op_threshs")
PARALLEL = "module."
WITHOUT_PARALLEL = (  # rewrites the file that is its argument
    "import sys; from safetensors.torch import load_file, save_file; "
    f"save_file({{k.removeprefix('{PARALLEL}'): v for k, v in load_file(sys.argv[1]).items()}}, sys.argv[1])"
)


@dataclass(frozen=True)
class Normalisation:
    """Per-channel mean and standard deviation of the input in [0, 1]; the network repeats grey over its channels, as
    many as there are means.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


class Network(nn.Module):
    """A backbone with its normalisation and head: grey pixels [B, 1, H, W] in [0, 1] -> logits of pneumonia [B].

    pool: the means of `pool` x `pool` parts of the last map, which `body` gives, are what the head is given; None where
    `body` has taken the mean itself.
    """

    mean: Tensor
    std: Tensor
    unused: frozenset[str] = frozenset()  # weights of the published network that this part of it does without

    def __init__(
        self, body: nn.Module, features: int, dropout: float, normalisation: Normalisation, pool: int | None = None
    ) -> None:
        super().__init__()
        self.body = body
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(pool), nn.Flatten()) if pool else nn.Identity()
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, 1))
        self.normalise_with(normalisation)

    def normalise_with(self, normalisation: Normalisation) -> None:
        self.normalisation = normalisation
        for name, values in (("mean", normalisation.mean), ("std", normalisation.std)):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)

    def features(self, pixels: Tensor) -> Tensor:
        """What the head is given: [B, F]."""
        return self.pool(self.body((pixels - self.mean) / self.std))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.features(pixels)).squeeze(1)


def create(
    architecture: str,
    *,
    input_size: int,
    dropout: float,
    weights: str,
    seed: int,
    pool: int = 1,
    stages: int | None = None,
    source: "Published | None" = None,
    normalisation: Normalisation | None = None,
) -> tuple[Network, str]:
    """The network and the SHA-256 of its starting weights (empty when it starts from scratch).

    `pool`: the head is given the means of so many parts of a side of the last map: 1 is the mean of all. `stages`: only
    so many stages of a timm network, as its feature_info counts them, are used; None uses all.
    `weights`: `none` (from scratch, from `seed`), a .safetensors file with all weights of the backbone in timm's layout
    or of a whole trained bundle, or anything else for the published weights of `source`, which are fetched where they
    are not on this machine. `normalisation`: of the input; by default what timm names.
    Raises WeightsError where weights cannot be had or do not fit, and ParamsError for an unknown architecture.
    """
    torch.manual_seed(seed)
    wanted = _Wanted(architecture, input_size, dropout, pool, stages, normalisation)
    starts = weights != "none" and not weights.endswith(".safetensors")
    if starts and source is None:
        raise WeightsError(
            f"no published weights are named for {architecture} (model.NAME.published): set model.NAME.weights to none "
            "or to a .safetensors file"
        )
    network = _own(wanted) if architecture in own.NETWORKS else _timm(wanted)
    # Convolutions of this layout are faster on CPUs, and on GPUs in mixed precision.
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if starts and source:
        found = published.fetch(source)
        _load(network, architecture, published.state(source, found, lambda: _names(architecture)))
        return network, source.sha256
    if weights == "none":
        return network, ""
    _load(network, architecture, Path(weights))
    return network, files.sha256(Path(weights))


def from_json(model_json: Mapping[str, Any], *, weights: str, seed: int = 0) -> Network:
    """The network that a model.json (or training.json) describes, as `create` makes it."""
    network, _ = create(
        model_json["architecture"],
        input_size=model_json["input_size"],
        dropout=model_json["dropout"],
        pool=model_json["pool"],
        stages=model_json["stages"],
        weights=weights,
        seed=seed,
        normalisation=Normalisation(**model_json["normalisation"]),
    )
    return network


@dataclass(frozen=True)
class _Wanted:
    """A network as `create` was asked for it."""

    architecture: str
    input_size: int
    dropout: float
    pool: int
    stages: int | None
    normalisation: Normalisation | None


def _own(wanted: _Wanted) -> Network:
    if wanted.stages is not None:
        raise ParamsError(
            f"model.NAME.stages is {wanted.stages}, and {wanted.architecture} is used whole: set it to null"
        )
    body, features = own.NETWORKS[wanted.architecture]
    normalisation = wanted.normalisation or Normalisation((0.5,), (0.25,))
    if wanted.pool == 1:
        return Network(body(wanted.input_size, wanted.dropout), features, wanted.dropout, normalisation)
    layers = list(body(wanted.input_size, wanted.dropout))
    if not isinstance(layers[-2], nn.AdaptiveAvgPool2d):
        raise ParamsError(_no_map(wanted))
    _require_parts(wanted.input_size // 2**own.BLOCKS, wanted)
    return Network(nn.Sequential(*layers[:-2]), features * wanted.pool**2, wanted.dropout, normalisation, wanted.pool)


def _no_map(wanted: _Wanted) -> str:
    return (
        f"{wanted.architecture} ends in no map of which {wanted.pool} x {wanted.pool} parts could be taken: "
        "set model.NAME.pool to 1"
    )


def _require_parts(side: int, wanted: _Wanted) -> None:
    if side < wanted.pool:
        raise ParamsError(
            f"the last map of {wanted.architecture} has {side} places a side for an input of {wanted.input_size} "
            f"pixels, too few for {wanted.pool} parts: lower model.NAME.pool, or raise model.NAME.input_size"
        )


def _timm(wanted: _Wanted) -> Network:
    import timm  # as late as possible: it takes seconds, and cnn does without

    _require_known(wanted.architecture)
    config: Any = timm.get_pretrained_cfg(wanted.architecture)
    normalisation = wanted.normalisation or Normalisation(config.mean, config.std)
    sized: dict[str, Any] = (
        {"img_size": wanted.input_size} if config.fixed_input_size else {}
    )  # transformers: positions are interpolated
    body: Any = timm.create_model(wanted.architecture, pretrained=False, in_chans=len(normalisation.mean), **sized)
    every = set(body.state_dict())
    mapped = wanted.pool > 1 or wanted.stages is not None
    body.reset_classifier(0, *([""] if mapped else []))  # without its own mean
    if wanted.stages is not None:
        _cut(body, wanted.architecture, wanted.stages)
    if hasattr(body, "pre_logits"):  # VGG's 7x7 convolution to 4096 channels: 100 M weights that a pooled head replaces
        body.pre_logits = nn.Identity()
    shape = _require_input_fits(body, wanted.architecture, wanted.input_size, len(normalisation.mean))
    if not mapped:
        return Network(body, shape[0], wanted.dropout, normalisation)
    if len(shape) != 3:
        raise ParamsError(_no_map(wanted))
    _require_parts(min(shape[1:]), wanted)
    network = Network(body, shape[0] * wanted.pool**2, wanted.dropout, normalisation, wanted.pool)
    network.unused = frozenset(every - set(body.state_dict()))
    return network


def _names(architecture: str) -> dict[str, Tensor]:
    """Names and tensors of the whole published network, with its classifier, in timm's order."""
    import timm

    return timm.create_model(architecture, pretrained=False).state_dict()


def _cut(body: Any, architecture: str, stages: int) -> None:
    count = len(body.feature_info)
    if not 1 <= stages <= count:
        raise ParamsError(f"model.NAME.stages is {stages}, and {architecture} has {count}: set one of them, or null")
    body.prune_intermediate_layers([stages - 1], prune_norm=True)


def _require_known(architecture: str) -> None:
    import timm

    name, _, tag = architecture.partition(".")
    known = timm.list_models(pretrained=True)
    if not timm.is_model(name) or (tag and architecture not in known):
        near = [name_and_tag for name_and_tag in known if name_and_tag.split(".")[0] == name] or timm.list_models(
            f"*{name[:5]}*", pretrained=True
        )
        raise ParamsError(
            f"architecture {architecture!r} is neither {' nor '.join(own.NETWORKS)} nor a timm model; "
            f"near it: {', '.join(near[:8]) or 'none'}"
        )


def _require_input_fits(body: Any, architecture: str, size: int, channels: int) -> tuple[int, ...]:
    """The shape of what `body` gives for an image of `size` pixels, found by a trial."""
    try:
        with torch.no_grad():
            shape = tuple(body.eval()(torch.zeros(1, channels, size, size)).shape[1:])
    except (RuntimeError, AssertionError) as error:
        raise ParamsError(
            f"{architecture} cannot take an input of {size} pixels ({_first_line(error)}): set model.NAME.input_size"
        ) from error
    body.train()
    return shape


def _load(network: Network, architecture: str, path: Path) -> None:
    if not path.is_file():
        raise WeightsError(f"{path} is missing: give a .safetensors file, or weights none to train from scratch")
    if files.is_lfs_pointer(path):
        raise WeightsError(f"{path} is a Git LFS pointer, not the weights: run `git lfs pull` where it comes from")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a safetensors file: {_first_line(error)}") from error
    if all(key.startswith(PARALLEL) for key in state):
        raise WeightsError(
            f"{path}: every name begins with {PARALLEL!r}, as torch.nn.DataParallel saves them. Take it off: python -c "
            f"{shlex.quote(WITHOUT_PARALLEL)} {shlex.quote(str(path))}"
        )
    whole = "head.1.weight" in state and any(key.startswith("body.") for key in state)
    target = network if whole else network.body
    if not whole:
        state = _as_timm_names(state, network.body)
    wanted = target.state_dict()
    for key, tensor in wanted.items():
        if key not in state:
            raise WeightsError(
                f"{path} has no {key}, which {architecture} needs: are these weights of another network?"
            )
        if state[key].shape != tensor.shape:
            raise WeightsError(
                f"{path}: {key} is {tuple(state[key].shape)}; {architecture} needs {tuple(tensor.shape)}"
            )
    extra = [key for key in state if key not in wanted and key not in network.unused and not key.startswith(LEFT_OUT)]
    if extra:
        raise WeightsError(f"{path} has {extra[0]}, which {architecture} lacks: are these weights of another network?")
    broken = [key for key in wanted if state[key].is_floating_point() and not state[key].isfinite().all()]
    if broken:
        raise WeightsError(f"{path}: {broken[0]} holds NaN or infinite weights: train again, or get another file")
    target.load_state_dict({key: state[key] for key in wanted})


def _as_timm_names(state: dict[str, Tensor], body: nn.Module) -> dict[str, Tensor]:
    """What timm does with weights as others publish them: names of other code, positions of another input size."""
    adapt = getattr(sys.modules[type(body).__module__], "checkpoint_filter_fn", None)
    return adapt(state, body) if adapt else state


def parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(weight.numel() for weight in network.parameters())


def flops(network: nn.Module, size: int) -> int:
    """Floating-point operations of one image of `size` pixels a side, forwards, as torch counts them: two for each
    multiply-add. Stands for the time that an image takes, which no two runs agree on.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.cpu().eval()(torch.zeros(1, 1, size, size))
    return counter.get_total_flops()


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
