"""An output that is computed only where it is asked for."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from pneumo.export.on_request import on_request

SHAPE = (2, 3)
BROKEN = np.zeros(7, dtype=np.int64)  # no shape that six values could take: running the branch fails


@pytest.fixture(params=[False, True], ids=["whole branch", "branch that cannot be run"])
def session(request):
    """`sum` of the doubled input, and `heat`, its square, which both follow from one node."""
    shape = BROKEN + 5 if request.param else np.array([-1, *SHAPE])
    nodes = [
        helper.make_node("Add", ["pixels", "pixels"], ["doubled"]),
        helper.make_node("ReduceSum", ["doubled"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["doubled", "doubled"], ["squared"]),
        helper.make_node("Reshape", ["squared", "shape"], ["heat"]),
    ]
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
        for name, dims in (("pixels", ["n", *SHAPE]), ("sum", []), ("heat", None))
    }
    graph = helper.make_graph(
        nodes, "graph", [values["pixels"]], [values["sum"], values["heat"]],
        [numpy_helper.from_array(shape.astype(np.int64), "shape")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    on_request(model, "heat", "with_heat", SHAPE)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options), request.param


def test_without_the_switch_the_branch_is_not_run(session):
    running, _ = session
    inputs = {"pixels": np.ones((1, *SHAPE), dtype=np.float32)}
    total, heat = running.run(None, inputs)
    assert total == 12
    assert heat.shape == (0, *SHAPE)
    assert [given.name for given in running.get_inputs()] == ["pixels"], "so that older readers need not know of it"


def test_with_it_all_outputs_are_there(session):
    running, broken = session
    inputs = {"pixels": np.full((4, *SHAPE), 0.5, dtype=np.float32), "with_heat": np.array(True)}
    if broken:
        with pytest.raises(Exception, match=r"(?i)reshape"):
            running.run(None, inputs)
        return
    total, heat = running.run(None, inputs)
    assert total == 24
    np.testing.assert_array_equal(heat, np.ones((4, *SHAPE)))
