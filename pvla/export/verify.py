"""Parity: what the graphs compute against eager torch, on inputs that tracing never saw."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pvla.core.sampling import Guidance
from pvla.deploy.engine import Engine
from pvla.errors import RunFault
from pvla.export.eager import EagerGraphs, Graph, Tensors
from pvla.export.examples import TRACE_SEED, observation, sampling_inputs
from pvla.export.settings import Settings

Array = npt.NDArray[np.float32]

SEEDS = (11, 23, 37)
LATENT_TAUS, JOINT_TAUS = (1000, 460, 190), (100, 50, 10)
"""Diffusion steps at which latent and joint steps are compared, one a seed."""

GRADIENT_BAR, COSINE_BAR = 1e-5, 0.99999
OUTPUT_BAR = 1e-4
"""Largest error of other outputs, relative to their largest number."""

CHUNK_BAR = 1e-3
"""The same for what a whole sampling run gives, over which rounding errors add up."""


@dataclass(frozen=True)
class Agreement:
    """How well one output agrees, at worst over all inputs.

    Attributes:
        max_abs: largest absolute error.
        relative: largest error relative to the largest number of the eager output.
        cosine: between the two outputs.
    """

    max_abs: float
    relative: float
    cosine: float

    def worse(self, other: Agreement) -> Agreement:
        """The worse of each figure."""
        return Agreement(
            max(self.max_abs, other.max_abs), max(self.relative, other.relative), min(self.cosine, other.cosine)
        )


Parity = dict[str, dict[str, Agreement]]
"""Agreement by graph and output."""


def agreement(eager: Array, exported: Array) -> Agreement:
    """Compare two arrays of one shape; two that are zero everywhere agree."""
    a, b = eager.astype(np.float64).ravel(), exported.astype(np.float64).ravel()
    error, largest = float(np.abs(a - b).max()), float(np.abs(a).max())
    if error == 0:
        return Agreement(0.0, 0.0, 1.0)
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return Agreement(error, error / max(largest, 1e-300), float(a @ b) / max(norms, 1e-300))


def measure(
    engine: Engine, graphs: EagerGraphs, settings: Settings, on_graph: Callable[[str], None] = lambda name: None
) -> Parity:
    """Parity of every graph of a bundle, by its engine.

    The scale of guidance is the bundle's own, or 1 where that is 0, so that the gradient is seen in the next latent.
    Guided steps are compared with the same networks in double precision: in float32 PyTorch's own gradient is off by
    nearly as much as the bar allows, by other amounts on other numbers of threads.
    """
    how = Guidance("full", 0.0, settings.guidance.every, settings.guidance.window)
    composed = graphs.composed(how, settings.latent_steps, settings.joint_steps)
    double = _in_double(graphs)
    steps = double.traced() + double.composed(how, settings.latent_steps, settings.joint_steps)
    exact = {step.name: step for step in steps if "grad" in step.outputs}
    parity: Parity = {}
    for graph in [g for g in graphs.traced() if g.name != "action_step"] + composed:
        for number, seed in enumerate(SEEDS):
            found = _compare(engine, graph, _inputs(graphs, graph, seed, number, settings), exact.get(graph.name))
            known = parity.setdefault(graph.name, found)
            parity[graph.name] = {name: known[name].worse(found[name]) for name in found}
        on_graph(graph.name)
    return parity


def missed_bars(parity: Parity) -> list[str]:
    """Sentences about every output that agrees less than it must."""
    missed = []
    for graph, outputs in parity.items():
        for name, found in outputs.items():
            bar = _bar(graph, name)
            if not found.relative < bar:
                missed.append(f"{graph}.{name} is off by {found.relative:.1e} of its maximum (bar {bar:.0e})")
            if name == "grad" and not found.cosine > COSINE_BAR:
                missed.append(f"{graph}.{name} has cosine {found.cosine:.6f} (bar {COSINE_BAR})")
    return missed


def require_parity(parity: Parity) -> None:
    """Raise RunFault where a bar is missed."""
    missed = missed_bars(parity)
    if missed:
        raise RunFault(f"The exported graphs do not compute what the networks do: {'; '.join(missed[:3])}.")


def parity_of(document: Mapping[str, Any]) -> Parity:
    """Parity as `bundle.json` holds it (see `parity_document`)."""
    return {
        graph: {name: Agreement(**found) for name, found in entry["outputs"].items()}
        for graph, entry in document.items()
    }


def parity_document(parity: Parity) -> dict[str, Any]:
    """Parity as JSON for `bundle.json`."""
    return {
        graph: {"inputs": len(SEEDS), "outputs": {name: asdict(found) for name, found in outputs.items()}}
        for graph, outputs in parity.items()
    }


def _bar(graph: str, output: str) -> float:
    if output == "grad":
        return GRADIENT_BAR
    return CHUNK_BAR if graph.startswith("sampler") else OUTPUT_BAR


def _inputs(graphs: EagerGraphs, graph: Graph, seed: int, number: int, settings: Settings) -> Tensors:
    if seed == TRACE_SEED:
        raise ValueError("parity must be measured on inputs that were not traced")
    tau = (JOINT_TAUS if graph.name.startswith("joint") else LATENT_TAUS)[number]
    seen = observation(graphs.parts, seed)
    return {**seen, **sampling_inputs(graphs, seed, tau, settings.guidance.scale or 1.0)}


def _in_double(graphs: EagerGraphs) -> EagerGraphs:
    return EagerGraphs(replace(graphs.parts, policy=copy.deepcopy(graphs.policy).double()))


def _compare(engine: Engine, graph: Graph, feeds: Tensors, exact: Graph | None = None) -> dict[str, Agreement]:
    """Agreement of every output, exported, with what the graph gives eagerly, or with what `exact` gives in double."""
    eager = exact.run({name: feeds[name].double() for name in exact.inputs}) if exact else graph.run(feeds)
    exported = engine.run(graph.name, {name: _array(feeds[name]) for name in graph.inputs})
    return {name: agreement(_array(eager[name]), exported[name]) for name in graph.outputs}


def _array(tensor: Tensor) -> Array:
    array: Array = torch.atleast_1d(tensor).detach().numpy()
    return array
