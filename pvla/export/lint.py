"""Would TensorRT take this graph? A check against the operator matrix of its ONNX parser, release 10.1.

JetPack 6 has a TensorRT near to that. The check is about operators and their restrictions only: it needs no GPU and
proves neither an engine nor its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx
from onnx import helper

NEWEST_OPSET = 20

_MATRIX = """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil Celu Clip Concat
    Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace Div Dropout Einsum Elu Equal Erf Exp Expand
    EyeLike Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater
    GreaterOrEqual GridSample GroupNormalization HardSigmoid HardSwish Identity If InstanceNormalization IsInf IsNaN
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop MatMul Max MaxPool Mean Min Mod Mul Neg Not OneHot
    Or PRelu Pad Pow Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round Selu Shape Sigmoid Sign Sin Sinh Size Slice Softmax
    Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh Tile TopK Transpose Trilu Unsqueeze Where Xor
"""

SUPPORTED = frozenset(_MATRIX.split())
"""Operators that we may use; ScatterND and ScatterElements are left out on purpose: a clean backward needs none."""

AXES_INPUT = {"Squeeze": 1, "Unsqueeze": 1, "Slice": 3} | {
    f"Reduce{kind}": 1 for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
}
"""Operators whose axes are an input, which must be a constant, and its index."""


def lint(model: onnx.ModelProto) -> list[str]:
    """What TensorRT would refuse, one line each; empty when it would take everything."""
    problems = [f"opset {o.version} of domain {o.domain or 'ai.onnx'!r}" for o in model.opset_import if not _known(o)]
    constants = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        constants.update(node.output if _only_prepares(node, constants) else ())
    for node in nodes_of(model.graph):
        problems += [f"{node.op_type} -> {node.output[0]}: {what}" for what in _complaints(node, constants)]
    return problems


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Every node of a graph and of the graphs inside it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from nodes_of(attribute.g)


def _known(opset: onnx.OperatorSetIdProto) -> bool:
    return opset.domain in ("", "ai.onnx") and opset.version <= NEWEST_OPSET


def _only_prepares(node: onnx.NodeProto, constants: set[str]) -> bool:
    """Whether a node only changes the type or the layout of a constant; the parser folds these."""
    return node.op_type in ("Cast", "Transpose", "Constant") and set(node.input) <= constants


def _complaints(node: onnx.NodeProto, constants: set[str]) -> Iterator[str]:
    if node.domain not in ("", "ai.onnx") or node.op_type not in SUPPORTED:
        yield "the operator is not in the matrix"
    at = AXES_INPUT.get(node.op_type)
    if at is not None and len(node.input) > at and node.input[at] and node.input[at] not in constants:
        yield "axes must be constant"
    rule = _RULES.get(node.op_type)
    if rule is not None:
        yield from rule(node, {a.name: helper.get_attribute_value(a) for a in node.attribute}, constants)


def _layer_norm(node: onnx.NodeProto, attributes: dict[str, object], constants: set[str]) -> Iterator[str]:
    if len([name for name in node.output if name]) > 1:
        yield "only the first output is supported"


def _resize(node: onnx.NodeProto, attributes: dict[str, object], constants: set[str]) -> Iterator[str]:
    if attributes.get("mode", b"nearest") not in (b"nearest", b"linear"):
        yield f"mode {attributes['mode']!r} is not supported"


def _conv(node: onnx.NodeProto, attributes: dict[str, object], constants: set[str]) -> Iterator[str]:
    if node.input[1] not in constants:
        yield "the weights must be constant"


def _top_k(node: onnx.NodeProto, attributes: dict[str, object], constants: set[str]) -> Iterator[str]:
    if node.input[1] not in constants:
        yield "K must be constant"


def _loop(node: onnx.NodeProto, attributes: dict[str, object], constants: set[str]) -> Iterator[str]:
    if node.input[0] and node.input[1]:
        yield "give a trip count or a condition, not both"


_Rule = Callable[[onnx.NodeProto, dict[str, object], set[str]], Iterator[str]]
_RULES: dict[str, _Rule] = {
    "LayerNormalization": _layer_norm,
    "Resize": _resize,
    "Conv": _conv,
    "ConvTranspose": _conv,
    "TopK": _top_k,
    "Loop": _loop,
}
