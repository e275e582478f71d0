"""Grad-CAM as part of a network's graph, so that whoever runs the graph needs neither torch nor a gradient.

What lies between the last map and the logit is traced forwards and backwards (torch.autograd), as operations that are
then exported like any others. Where the head is a mean and a linear layer this comes down to the layer's weights; a
transformer's map is that of its patches, and all of its blocks follow.
"""

import math
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._decomp import core_aten_decompositions
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing, make_fx
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from pneumo.explain.grad_cam import last_map
from pneumo.models.backbones import Network

aten = torch.ops.aten
BATCH = 5  # of the example that is traced; no size of a layer is meant to be taken for it


class Cells(nn.Module):
    """A network whose every call also gives where it found its evidence.

    Grey pixels [B, 1, H, H] in [0, 1] -> logits [B], as the network alone gives them, and Grad-CAM of the deepest map
    that all evidence passes: float32 [B, 1, side, side], at least 0, in the units of the logit.
    Raises BundleError where there is no such map.
    """

    def __init__(self, network: Network, size: int) -> None:
        super().__init__()
        frozen = network.requires_grad_(False).eval()
        self.layer, self.side = last_map(frozen, size)
        self.gradient = _gradient(frozen, self.layer, size)

    def forward(self, network: Network, grey: Tensor) -> tuple[Tensor, Tensor]:
        maps: list[Tensor] = []
        handle = network.get_submodule(self.layer).register_forward_hook(
            lambda module, inputs, output: maps.append(output)
        )
        try:
            logits = network(grey)
        finally:
            handle.remove()
        weights = self.gradient(_state(network), maps[0].contiguous()).mean(dim=(2, 3), keepdim=True)
        return logits, (weights * maps[0]).sum(dim=1, keepdim=True).relu()


def _state(network: Network) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _gradient(network: Network, layer: str, size: int) -> torch.fx.GraphModule:
    """(weights by name, the layer's map [B, C, side, side]) -> the gradient of the sum of logits on it, as a graph."""

    def gradient(state: Mapping[str, Tensor], map_: Tensor) -> Tensor:
        grey = map_.new_zeros(1, 1, size, size)  # what comes of it is thrown away
        with torch.enable_grad(), ExitStack() as unrecorded:
            leaf = map_.detach().requires_grad_()

            def put_in_place(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
                unrecorded.close()  # what led to the map is no part of the graph
                return leaf

            handle = network.get_submodule(layer).register_forward_hook(put_in_place)
            try:
                unrecorded.enter_context(disable_proxy_modes_tracing())
                logits = functional_call(network, dict(state), (grey,))
            finally:
                handle.remove()
            return torch.autograd.grad(logits.sum(), leaf)[0]

    fake = FakeTensorMode(shape_env=ShapeEnv(duck_shape=False), allow_non_fake_inputs=True)

    def stand_in(value: Tensor, *first: DimDynamic) -> Tensor:
        sizes = [*first, *[DimDynamic.STATIC] * (value.dim() - len(first))]
        return fake.from_tensor(value, symbolic_context=StatelessSymbolicContext(dynamic_sizes=sizes))

    state = {name: stand_in(value) for name, value in _state(network).items()}
    example = stand_in(_map(network, layer, size), DimDynamic.DYNAMIC)
    with fake, sdpa_kernel(SDPBackend.MATH), _PlainPools():
        graph = make_fx(gradient, decomposition_table=dict(core_aten_decompositions().items()) | DECOMPOSED)(
            state, example
        )
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def _map(network: Network, layer: str, size: int) -> Tensor:
    maps: list[Tensor] = []
    handle = network.get_submodule(layer).register_forward_hook(lambda module, inputs, output: maps.append(output))
    try:
        with torch.no_grad():
            network(torch.zeros(BATCH, 1, size, size))
    finally:
        handle.remove()
    return maps[0].contiguous()


class _PlainPools(TorchFunctionMode):
    """Adaptive pooling as means of slices: its own operation has no derivative that can be exported."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.adaptive_avg_pool2d:
            return _means(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _means(input: Tensor, output_size: int | tuple[int, int]) -> Tensor:
    rows, columns = (output_size, output_size) if isinstance(output_size, int) else output_size
    parts = [
        input[:, :, top:bottom, left:right].mean(dim=(2, 3))
        for top, bottom in _parts(input.shape[2], rows)
        for left, right in _parts(input.shape[3], columns)
    ]
    return torch.stack(parts, dim=2).unflatten(2, (rows, columns))


def _parts(side: int, count: int) -> list[tuple[int, int]]:
    return [(at * side // count, math.ceil((at + 1) * side / count)) for at in range(count)]


def _convolution_backward(
    gradient: Tensor,
    entering: Tensor,
    weight: Tensor,
    bias_sizes: Any,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
    mask: list[bool],
) -> tuple[Tensor, None, None]:
    """On what entered; weights are frozen. The transposed convolution, padded to the size that entered."""
    if transposed or any(mask[1:]):
        raise NotImplementedError("the gradient of a transposed convolution, or on weights")
    missing = [
        entering.shape[2 + at]
        - ((gradient.shape[2 + at] - 1) * stride[at] - 2 * padding[at] + dilation[at] * (weight.shape[2 + at] - 1) + 1)
        for at in range(2)
    ]
    return (
        aten.convolution(gradient, weight, None, stride, padding, dilation, True, missing, groups),
        None,
        None,
    )


def _max_pool_backward(
    gradient: Tensor,
    entering: Tensor,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    ceil_mode: bool,
    indices: Tensor,
) -> Tensor:
    """Each value of the gradient goes to the place that was the largest."""
    flat = torch.zeros_like(entering).flatten(2)
    return flat.scatter_add(2, indices.flatten(2), gradient.flatten(2)).reshape(entering.shape)


def _avg_pool_backward(
    gradient: Tensor,
    entering: Tensor,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    """Each value of the gradient is shared by the places of its window."""
    if ceil_mode or divisor_override or (any(padding) and not count_include_pad):
        raise NotImplementedError("the gradient of average pooling with windows of several sizes")
    channels, size = entering.shape[1], [*kernel, *kernel][:2]
    weight = torch.full((channels, 1, *size), 1 / math.prod(size), dtype=gradient.dtype)
    step = list(stride) or size
    none, mask = torch.empty(0), [True, False, False]
    return _convolution_backward(
        gradient,
        entering,
        weight,
        none,
        [*step, *step][:2],
        [*padding, *padding][:2],
        [1, 1],
        False,
        [0, 0],
        channels,
        mask,
    )[0]


def _pad(entering: Tensor, pad: list[int], value: float = 0) -> Tensor:
    """torch's own takes the number of images of the example for that of all."""
    padded = entering
    for at in range(len(pad) // 2):
        dim = entering.dim() - 1 - at
        before, after = pad[2 * at], pad[2 * at + 1]
        padded = padded.narrow(dim, max(-before, 0), padded.shape[dim] + min(before, 0) + min(after, 0))
        shape = list(padded.shape)
        edges = [padded.new_full([*shape[:dim], max(width, 0), *shape[dim + 1 :]], value) for width in (before, after)]
        padded = torch.cat([edges[0], padded, edges[1]], dim=dim)
    return padded


DECOMPOSED = {
    aten.constant_pad_nd.default: _pad,
    aten.convolution_backward.default: _convolution_backward,
    aten.max_pool2d_with_indices_backward.default: _max_pool_backward,
    aten.avg_pool2d_backward.default: _avg_pool_backward,
}
