"""Graphs that need no tracing of their own: they are put together from traced ones.

A joint step is a latent step and an action step. A sampler is two ONNX `Loop`s over them, the latent alone and then
both, whose tables of τ and ᾱ are initializers; trip counts are fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from pvla.core.sampling import Guidance, Policy, steps_of
from pvla.export.net import Net, constant_name

FLOAT, INT64, BOOL = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.BOOL
STEP_VALUES = ("x_z_next", "eps", "grad", "q")
"""What a latent step gives; inside a loop these are inner values."""

ACTION_VALUES = ("x_a", "x_z_next", "x_a_next", "tau", "alpha_bar_a", "alpha_bar_a_prev")
"""What an action step reads and gives, besides its context."""


def joint_step(latent: Net, action: Net, order: Sequence[str]) -> Net:
    """The joint step: the latent moves first, and the action's denoiser sees where it went; inputs in `order`."""
    first = latent.renamed("z.", {"alpha_bar": "alpha_bar_z", "alpha_bar_prev": "alpha_bar_z_prev"})
    second = action.renamed("a.", {})
    inputs = {value.name: value for value in (*second.inputs, *first.inputs)}
    return Net(
        [inputs[name] for name in order],
        [*first.outputs, *second.outputs],
        [*first.nodes, *second.nodes],
        {**first.constants, **second.constants},
        {**first.prologue, **second.prologue},
    )


@dataclass(frozen=True)
class Stage:
    """One stage of sampling as tables: (τ, next τ) of each step, and which steps are guided."""

    name: str
    steps: list[tuple[int, int]]
    guided: list[bool]
    joint: bool


def stages_of(policy: Policy, guidance: Guidance, latent_steps: int, joint_steps: int) -> list[Stage]:
    """Both stages, as `pvla.core.sampling.sample` runs them."""
    top, seam = policy.latent_schedule.steps, policy.action_schedule.steps
    alone = steps_of(top, seam, latent_steps, policy.latent_schedule)
    both = steps_of(seam, 0, joint_steps, policy.action_schedule)
    on = [guidance.at(i, tau) != "off" for i, (tau, _) in enumerate(alone + both)]
    return [Stage("s1", alone, on[: len(alone)], False), Stage("s2", both, on[len(alone) :], True)]


class SamplerBuilder:
    """Puts a sampler together.

    Args:
        policy: gives the schedules' tables.
        plain: latent step without guidance.
        action: action step.
        guided: latent step with guidance, None for the plain sampler.
    """

    def __init__(self, policy: Policy, plain: Net, action: Net, guided: Net | None) -> None:
        self._policy, self._plain, self._action, self._guided = policy, plain, action, guided
        self._net = Net([], [], [])

    def build(self, stages: list[Stage], order: Sequence[str]) -> Net:
        """The sampler over `stages`, with inputs in `order`."""
        sources = [net for net in (self._plain, self._action, self._guided) if net is not None]
        given = {value.name: value for net in sources for value in net.inputs}
        net = self._net = Net([given[name] for name in order], [], [])
        for source in sources:
            net.constants.update(source.constants)
            net.prologue.update(source.prologue)
        state = {"x_z": "x_z", "x_a": "x_a", "q": self._constant(np.zeros(1, np.float32))}
        for stage in stages:
            state = self._loop(stage, state)
        for name in ("x_z", "x_a", *(("q",) if self._guided else ())):
            out = name if name == "q" else f"{name}_out"
            shape = [1] if name == "q" else [d.dim_value for d in given[name].type.tensor_type.shape.dim]
            net.outputs.append(helper.make_tensor_value_info(out, FLOAT, shape))
            net.nodes.append(helper.make_node("Identity", [state[name]], [out]))
        return net

    def _loop(self, stage: Stage, state: dict[str, str]) -> dict[str, str]:
        """Add the loop of a stage; returns the names of the state after it."""
        carried = ["x_z", *(["x_a"] if stage.joint else []), *(["q"] if self._guided else [])]
        body = self._body(stage, carried)
        after = {name: f"{stage.name}.{name}.after" for name in carried}
        trips = self._constant(np.array(len(stage.steps), np.int64))
        inputs = [trips, "", *(state[name] for name in carried)]
        self._net.nodes.append(helper.make_node("Loop", inputs, list(after.values()), body=body))
        return {**state, **after}

    def _body(self, stage: Stage, carried: list[str]) -> onnx.GraphProto:
        p = f"{stage.name}."
        nodes = [helper.make_node("Identity", [f"{p}go"], [f"{p}on"])]
        nodes += self._levels(stage)
        nodes += self._latent_nodes(stage)
        if stage.joint:
            names = {name: p + name for name in ACTION_VALUES}
            nodes += self._action.renamed(f"{p}a.", names).nodes
        last = {"x_z": f"{p}x_z_next", "x_a": f"{p}x_a_next", "q": f"{p}q_next"}
        inputs = [
            helper.make_tensor_value_info(f"{p}i", INT64, []),
            helper.make_tensor_value_info(f"{p}go", BOOL, []),
            *(self._value(name, p + name) for name in carried),
        ]
        outputs = [
            helper.make_tensor_value_info(f"{p}on", BOOL, []),
            *(self._value(name, last[name]) for name in carried),
        ]
        return helper.make_graph(nodes, stage.name, inputs, outputs)

    def _levels(self, stage: Stage) -> list[onnx.NodeProto]:
        """Nodes that look up τ and ᾱ of this iteration, each (1,)."""
        z, a = self._policy.latent_schedule.alpha_bar.numpy(), self._policy.action_schedule.alpha_bar.numpy()
        now, after = (np.array(column) for column in zip(*stage.steps, strict=True))
        tables = {"tau": now.astype(np.float32), "alpha_bar": z[now], "alpha_bar_prev": z[after]}
        if stage.joint:
            tables |= {"alpha_bar_a": a[now], "alpha_bar_a_prev": a[after]}
        return [
            helper.make_node(
                "Gather", [self._constant(table[:, None]), f"{stage.name}.i"], [f"{stage.name}.{name}"], axis=0
            )
            for name, table in tables.items()
        ]

    def _latent_nodes(self, stage: Stage) -> list[onnx.NodeProto]:
        """The latent's step: guided, plain, or whichever the iteration's flag says."""
        p = f"{stage.name}."
        if self._guided is None:
            return self._step(self._plain, p, "")
        if all(stage.guided):
            return [*self._step(self._guided, p, ""), helper.make_node("Identity", [f"{p}q_step"], [f"{p}q_next"])]
        if not any(stage.guided):
            return [*self._step(self._plain, p, ""), helper.make_node("Identity", [f"{p}q"], [f"{p}q_next"])]
        flag = helper.make_node("Gather", [self._constant(np.array(stage.guided)), f"{p}i"], [f"{p}flag"], axis=0)
        branch = helper.make_node(
            "If",
            [f"{p}flag"],
            [f"{p}x_z_next", f"{p}q_next"],
            then_branch=self._branch(self._guided, p, "yes."),
            else_branch=self._branch(self._plain, p, "no."),
        )
        return [flag, branch]

    def _branch(self, step: Net, prefix: str, side: str) -> onnx.GraphProto:
        nodes = self._step(step, prefix, side)
        own = prefix + side
        if step is self._plain:
            nodes.append(helper.make_node("Identity", [f"{prefix}q"], [f"{own}q_step"]))
        outputs = [self._value("x_z", f"{own}x_z_next"), self._value("q", f"{own}q_step")]
        return helper.make_graph(nodes, own, [], outputs)

    def _step(self, step: Net, prefix: str, side: str) -> list[onnx.NodeProto]:
        """Nodes of a latent step inside a loop body, or inside one side of a branch there."""
        names = {name: prefix + name for name in ("x_z", "tau", "alpha_bar", "alpha_bar_prev")}
        results = {name: prefix + side + name for name in STEP_VALUES}
        results["q"] = f"{prefix}{side}q_step"
        return step.renamed(f"{prefix}{side}z.", {**names, **results}).nodes

    def _value(self, kind: str, name: str) -> onnx.ValueInfoProto:
        """Type of a state value ("x_z", "x_a" or "q") under some name."""
        source = {"x_z": self._plain, "x_a": self._action}.get(kind)
        dims = [1] if source is None else [d.dim_value for d in source.input(kind).type.tensor_type.shape.dim]
        return helper.make_tensor_value_info(name, FLOAT, dims)

    def _constant(self, values: npt.NDArray[Any]) -> str:
        tensor = numpy_helper.from_array(np.array(values, order="C"))
        tensor.name = constant_name(tensor)
        self._net.constants[tensor.name] = tensor
        return tensor.name
