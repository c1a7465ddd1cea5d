from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pvla.export.lint import lint

X = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)


def model(*nodes: onnx.NodeProto, opset: int = 20, **constants: np.ndarray) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(list(nodes), "g", [X], [Y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def inside_loop(node: onnx.NodeProto) -> onnx.NodeProto:
    body = helper.make_graph([node], "body", [], [])
    return helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)


def test_a_clean_graph_passes() -> None:
    nodes = [helper.make_node("Squeeze", ["x", "axis"], ["v"]), helper.make_node("Exp", ["v"], ["y"])]
    assert lint(model(*nodes, axis=np.array([0]))) == []


@pytest.mark.parametrize(
    ("node", "complaint"),
    [
        (helper.make_node("ScatterND", ["x", "i", "u"], ["y"]), "not in the matrix"),
        (helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"]), "not in the matrix"),
        (helper.make_node("Relu", ["x"], ["y"], domain="com.microsoft"), "not in the matrix"),
        (helper.make_node("LayerNormalization", ["x", "w"], ["y", "m", "s"]), "first output"),
        (helper.make_node("Resize", ["x", "", "s"], ["y"], mode="cubic"), "mode"),
        (helper.make_node("Unsqueeze", ["x", "where"], ["y"]), "axes"),
        (helper.make_node("ReduceSum", ["x", "where"], ["y"]), "axes"),
        (helper.make_node("Conv", ["x", "weights"], ["y"]), "weights"),
        (helper.make_node("Loop", ["n", "go", "x"], ["y"], body=helper.make_graph([], "b", [], [])), "not both"),
        (inside_loop(helper.make_node("NonZero", ["x"], ["v"])), "not in the matrix"),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else "",
)
def test_what_tensorrt_refuses_is_named(node: onnx.NodeProto, complaint: str) -> None:
    (problem,) = lint(model(node))
    assert complaint in problem


def test_weights_that_are_cast_and_transposed_are_constant() -> None:
    nodes = [
        helper.make_node("Cast", ["w"], ["w32"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["w32"], ["wt"]),
        helper.make_node("Conv", ["x", "wt"], ["y"]),
    ]
    assert lint(model(*nodes, w=np.zeros((1, 1, 1, 1), np.float16))) == []


def test_a_newer_opset_is_refused() -> None:
    assert "opset 23" in lint(model(helper.make_node("Exp", ["x"], ["y"]), opset=23))[0]
