"""A function of tensors → an ONNX graph, the gradient inside it included.

`make_fx` runs the function once, autograd and all, and records plain tensor operations; the exporter then knows nothing
of a backward pass. Attention runs by its plain formula, because the fused kernels' backward has no ONNX counterpart;
the decompositions leave only operations that TensorRT takes (a LayerNormalization with three outputs, it does not).
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import onnx
import torch
from torch import Tensor
from torch._decomp import get_decompositions
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel

from pvla.export.eager import Graph, Tensors

OPSET = 20
IR_VERSION = 10
"""The newest that onnxruntime 1.23 reads, which is the newest for Python 3.10 on a Jetson."""


def trace(graph: Graph, feeds: Tensors) -> onnx.ModelProto:
    """Trace `graph` on example `feeds`; weights become initializers, shapes are those of the feeds."""
    args = tuple(feeds[name] for name in graph.inputs)
    with sdpa_kernel(SDPBackend.MATH):
        recorded = make_fx(graph.positional, decomposition_table=_decompositions(), tracing_mode="real")(*args)
    recorded.graph.eliminate_dead_code()
    recorded.recompile()
    return _to_onnx(recorded, args, graph)


def _decompositions() -> dict[Any, Callable[..., Any]]:
    aten = torch.ops.aten
    table = dict(
        get_decompositions(
            [
                aten.native_layer_norm,
                aten.native_layer_norm_backward,
                aten._softmax_backward_data,
                aten.gelu_backward,
                aten.silu_backward,
                aten.sigmoid_backward,
                aten.select_backward,
                aten.slice_backward,
            ]
        )
    )
    # Its guard against rows without any key is for masks that we do not have: a token always sees itself.
    table[aten._safe_softmax.default] = lambda x, dim, dtype=None: torch.softmax(x, dim)
    return table


def _to_onnx(recorded: torch.fx.GraphModule, args: tuple[Tensor, ...], graph: Graph) -> onnx.ModelProto:
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            recorded,
            args,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model = program.model_proto
    model.ir_version = IR_VERSION
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on packages that we do not use."""
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    log.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            log.setLevel(level)
