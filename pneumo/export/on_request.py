"""An output of an ONNX graph that is computed only when it is asked for.

ONNX Runtime computes every output, also those that nobody fetches. So what leads to one of them, and to nothing else,
goes into a branch that an input opens, which is closed by default.
"""

from typing import Any

import numpy as np


def on_request(model: Any, output: str, switch: str, shape: tuple[int, ...]) -> None:
    """Let `output` of the onnx.ModelProto `model` be computed only where the input `switch` is true.

    It is an array of any number of `shape` [n, *shape]; without `switch` it has none of them. All other outputs are
    computed by the very nodes that computed them before.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    (wanted,) = (value for value in graph.output if value.name == output)
    others = [value.name for value in graph.output if value.name != output]
    always = _leading_to(others, graph.node)
    branch = [node for at, node in enumerate(graph.node) if at not in always]
    rest = [node for at, node in enumerate(graph.node) if at in always]
    inner, nothing = f"{output}_asked_for", f"{output}_not_asked_for"
    for node in branch:
        for at, name in enumerate(node.output):
            if name == output:
                node.output[at] = inner
        for at, name in enumerate(node.input):
            if name == output:
                node.input[at] = inner
    dims: list[str | int | None] = ["asked", *shape]
    no_dims: list[str | int | None] = [0, *shape]
    then = helper.make_graph(branch, inner, [], [helper.make_tensor_value_info(inner, TensorProto.FLOAT, dims)])
    empty = numpy_helper.from_array(np.zeros((0, *shape), dtype=np.float32))
    constant = helper.make_node("Constant", [], [nothing], value=empty)
    other = helper.make_graph(
        [constant], nothing, [], [helper.make_tensor_value_info(nothing, TensorProto.FLOAT, no_dims)]
    )
    choice = helper.make_node("If", [switch], [output], then_branch=then, else_branch=other)
    made = {name for node in branch for name in node.output}
    kept_info = [value for value in graph.value_info if value.name not in made]
    wanted.CopyFrom(helper.make_tensor_value_info(output, TensorProto.FLOAT, dims))
    for field, entries in ((graph.node, [*rest, choice]), (graph.value_info, kept_info)):
        copies = [type(entry).FromString(entry.SerializeToString()) for entry in entries]
        del field[:]
        field.extend(copies)
    graph.input.append(helper.make_tensor_value_info(switch, TensorProto.BOOL, []))
    graph.initializer.append(numpy_helper.from_array(np.array(False), switch))


def _leading_to(outputs: list[str], nodes: Any) -> set[int]:
    """Positions of the nodes that any of `outputs` follows from."""
    maker = {name: at for at, node in enumerate(nodes) for name in node.output}
    needed: set[int] = set()
    todo = [maker[name] for name in outputs]
    while todo:
        at = todo.pop()
        if at not in needed:
            needed.add(at)
            todo += [maker[name] for name in nodes[at].input if name in maker]
    return needed
