"""Pickled weights -> safetensors, with torch's restricted reader, which runs none of the code that a pickle may name.

Files of three layouts are known: `timm`, a mapping of timm's names to tensors, perhaps inside another mapping; `order`,
a mapping of other names in timm's order; `module`, a whole network as torch.save wrote it, whose classes are replaced
by one that holds their attributes and does nothing.
"""

import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from pneumo import files
from pneumo.errors import WeightsError

WRAPPERS = ("state_dict", "model", "teacher")  # keys under which training scripts put the weights
NO_WEIGHTS = ("op_threshs",)  # what torchxrayvision keeps beside them: thresholds of its eighteen labels


class _Attributes:
    """Stands for any class of a pickled network."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def convert(path: Path, to: Path, *, layout: str, names: Mapping[str, Tensor]) -> None:
    """Write the weights in `path` to `to`. names: of the network they are for, in its order.

    Raises WeightsError where `path` holds anything but weights, or other weights.
    """
    state = _of_module(path) if layout == "module" else _mapping(_read(path), path)
    if layout == "order":
        state = _in_order(state, names, path)
    files.fresh(to)
    part = to.with_suffix(".part")
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in state.items()}, part)
    part.replace(to)


def _read(path: Path) -> Any:
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # of pickle, of zipfile, of torch
        raise WeightsError(
            f"{path} cannot be read as weights alone ({type(error).__name__}: {str(error).splitlines()[0][:200]}): it "
            "is damaged, or a pickle that wants to run code"
        ) from error


def _mapping(read: Any, path: Path) -> dict[str, Tensor]:
    for key in WRAPPERS:
        if isinstance(read, Mapping) and isinstance(read.get(key), Mapping):
            read = read[key]
    if not isinstance(read, Mapping) or not read or not all(isinstance(tensor, Tensor) for tensor in read.values()):
        raise WeightsError(f"{path} holds no mapping of names to tensors, but {type(read).__name__}")
    return dict(read)


def _in_order(state: Mapping[str, Tensor], names: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    if len(state) != len(names):
        raise WeightsError(f"{path} has {len(state)} tensors, and the network {len(names)}: these are other weights")
    for (theirs, tensor), (ours, expected) in zip(state.items(), names.items(), strict=True):
        if tensor.shape != expected.shape:
            raise WeightsError(
                f"{path}: {theirs} is {tuple(tensor.shape)}, and {ours}, which it would become, is "
                f"{tuple(expected.shape)}: these are other weights"
            )
    return dict(zip(names, state.values(), strict=True))


def _of_module(path: Path) -> dict[str, Tensor]:
    # torch's reader takes a class only if it was named beforehand; what it builds are attributes.
    allowed: list[Any] = [(_Attributes, name) for name in sorted(_classes(path))]
    with torch.serialization.safe_globals(allowed):
        return dict(_tensors(_read(path), ""))


def _classes(path: Path) -> set[str]:
    """Names of the classes in the file that are part of a network, in torch or in torchxrayvision."""
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            opcodes = list(pickletools.genops(archive.read(name)))
    except (ValueError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"{path} is not a file as torch.save has written it since torch 1.6 ({error}). Open it with the package "
            "that it is from, and name its weights in a file: safetensors.torch.save_file(network.state_dict(), "
            "'FILE.safetensors'), model.NAME.weights=FILE.safetensors"
        ) from error
    named = {str(argument).replace(" ", ".") for opcode, argument, _ in opcodes if opcode.name == "GLOBAL"}
    return {name for name in named if name.startswith(("torch.nn.modules.", "torchxrayvision.models."))}


def _tensors(module: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    held = vars(module)
    for kind in ("_parameters", "_buffers"):
        for name, tensor in held.get(kind, {}).items():
            if tensor is not None and name not in NO_WEIGHTS:
                yield prefix + name, tensor
    for name, inner in held.get("_modules", {}).items():
        yield from _tensors(inner, f"{prefix}{name}.")
