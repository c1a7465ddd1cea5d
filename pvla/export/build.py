"""All graphs of a bundle: traced or put together, linted, written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx

from pvla.core.sampling import Guidance
from pvla.deploy.manifest import GraphSpec, TensorSpec
from pvla.errors import RunFault
from pvla.export.compose import SamplerBuilder, joint_step, stages_of
from pvla.export.eager import MODES, EagerGraphs, Graph, Tensors
from pvla.export.examples import TRACE_SEED, observation, sampling_inputs
from pvla.export.lint import lint, nodes_of
from pvla.export.net import Net, net_of
from pvla.export.settings import Settings
from pvla.export.trace import trace
from pvla.export.weights import WeightIndex

TRACE_TAU = 500
TYPES: dict[int, str] = {
    onnx.TensorProto.UINT8: "uint8",
    onnx.TensorProto.INT64: "int64",
    onnx.TensorProto.FLOAT: "float32",
}


@dataclass(frozen=True)
class Built:
    """A graph that was written: its nodes, its bytes without weights, the seconds it took."""

    name: str
    nodes: int
    bytes: int
    seconds: float


Report = Callable[[Built], None]


def graph_names() -> list[str]:
    """Names of the graphs in the order in which they are made; the action step is not one of the bundle's."""
    steps = [f"latent_step_{variant}" for variant in MODES]
    rest = [f"{kind}_{variant}" for kind in ("joint_step", "sampler") for variant in MODES]
    return ["vision", "text", "progress", "context", *steps, "action_step", "score", *rest]


def build_graphs(folder: Path, eager: EagerGraphs, settings: Settings, report: Report) -> dict[str, GraphSpec]:
    """Write every graph into `folder`, whose `checkpoints/` hold the weights; returns their descriptions.

    Raises:
        RunFault: a graph has an operator that TensorRT refuses, or is no valid ONNX.
    """
    index = _index(folder)
    specs: dict[str, GraphSpec] = {}
    began = time.perf_counter()
    for name, net in _nets(eager, settings, index):
        model = net.model(name)
        if name != "action_step":
            specs[name] = _write(folder, name, model)
        nodes = sum(1 for _ in nodes_of(model.graph))
        report(Built(name, nodes, model.ByteSize(), time.perf_counter() - began))
        began = time.perf_counter()
    return specs


def _index(folder: Path) -> WeightIndex:
    files = sorted((folder / "checkpoints").glob("*.safetensors"))
    return WeightIndex({file.relative_to(folder).as_posix(): file for file in files})


def _nets(eager: EagerGraphs, settings: Settings, index: WeightIndex) -> Iterator[tuple[str, Net]]:
    seen = observation(eager.parts, TRACE_SEED)
    feeds: Tensors = {**seen, **sampling_inputs(eager, TRACE_SEED, TRACE_TAU, 1.0)}
    nets: dict[str, Net] = {}
    for graph in eager.traced():
        nets[graph.name] = net_of(trace(graph, feeds), index)
        yield graph.name, nets[graph.name]
    how = Guidance("full", 0.0, settings.guidance.every, settings.guidance.window)
    for graph in eager.composed(how, settings.latent_steps, settings.joint_steps):
        yield graph.name, _composed(graph, nets, eager, how, settings)


def _composed(graph: Graph, nets: dict[str, Net], eager: EagerGraphs, how: Guidance, settings: Settings) -> Net:
    kind, variant = graph.name.rsplit("_", 1)
    latent, action = nets[f"latent_step_{variant}"], nets["action_step"]
    if kind == "joint_step":
        return joint_step(latent, action, graph.inputs)
    guided = None if variant == "plain" else latent
    builder = SamplerBuilder(eager.policy, nets["latent_step_plain"], action, guided)
    return builder.build(stages_of(eager.policy, how, settings.latent_steps, settings.joint_steps), graph.inputs)


def _write(folder: Path, name: str, model: onnx.ModelProto) -> GraphSpec:
    problems = lint(model)
    if problems:
        raise RunFault(f"Graph {name} has what TensorRT refuses: {'; '.join(problems[:3])}.")
    file = folder / f"{name}.onnx"
    file.write_bytes(model.SerializeToString(deterministic=True))
    try:
        onnx.checker.check_model(str(file))
    except onnx.checker.ValidationError as error:
        raise RunFault(f"Graph {name} is no valid ONNX: {str(error).splitlines()[0]}.") from error
    return GraphSpec(file=file.name, inputs=_specs(model.graph.input), outputs=_specs(model.graph.output))


def _specs(values: list[onnx.ValueInfoProto]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec.model_validate(
            {
                "name": value.name,
                "dtype": TYPES[value.type.tensor_type.elem_type],
                "shape": [d.dim_value for d in value.type.tensor_type.shape.dim],
            }
        )
        for value in values
    )
