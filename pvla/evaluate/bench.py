"""How long each part of the policy takes on this machine, exported and in eager torch, from one interleaved run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pvla.deploy.bundle import TOKENIZER, Bundle
from pvla.deploy.engine import Array, OnnxEngine
from pvla.deploy.manifest import TensorSpec
from pvla.deploy.sampler import Sampler, SamplerSettings
from pvla.deploy.schedule import Grid
from pvla.deploy.sim_arm import check_fits_simulator
from pvla.deploy.tokenizer import InstructionTokenizer
from pvla.evaluate.eager import EagerProcess
from pvla.evaluate.ticks import TickCount
from pvla.evaluate.timing import Timed, Timing, interleaved, timed
from pvla.sim.env import TabletopEnv

SCENE = 1_900_000
BASELINE = "latent step plain"
PARTS = ("vision", "progress", "context")


@dataclass(frozen=True)
class Bench:
    """All that `pvla bench` measured.

    Attributes:
        exported: timings of the bundle's graphs.
        eager: timings of the same parts in torch; empty where that is not possible.
        left_out: what was not measured, and why.
        ticks: missed ticks of the control loop; None if not asked for.
    """

    exported: list[Timing]
    eager: list[Timing]
    left_out: list[str]
    ticks: TickCount | None = None

    def to_plain(self, name: str) -> float | None:
        """Median of an exported part over that of the plain latent step."""
        medians = {timing.name: timing.p50_ms for timing in self.exported}
        return medians[name] / medians[BASELINE] if name in medians else None

    def to_exported(self, name: str) -> float | None:
        """Median of eager torch over that of the exported part."""
        exported = {timing.name: timing.p50_ms for timing in self.exported}
        eager = {timing.name: timing.p50_ms for timing in self.eager}
        return eager[name] / exported[name] if name in eager and name in exported else None

    def document(self) -> dict[str, Any]:
        """The figures for --json."""
        names = [timing.name for timing in self.exported]
        return {
            "exported": [asdict(timing) for timing in self.exported],
            "eager": [asdict(timing) for timing in self.eager],
            "ratio_to_plain_step": {name: self.to_plain(name) for name in names},
            "ratio_eager_to_exported": {name: self.to_exported(name) for name in names},
            "left_out": self.left_out,
            "ticks": self.ticks.model_dump(mode="json") if self.ticks else None,
        }


def measure(bundle: Bundle, rounds: int, on_round: Callable[[], None] = lambda: None) -> Bench:
    """Time every part of a bundle, and the same parts in eager torch where torch is installed.

    Args:
        bundle: for the simulated arm.
        rounds: times that each part runs.
        on_round: told after each round, warm-up included.

    Raises:
        InputError: the bundle is not for the simulated arm.
    """
    check_fits_simulator(bundle.manifest)
    exported = exported_cases(bundle)
    with EagerProcess(bundle.path) as eager:
        graphs = {name: _graph_of(name) for name in exported}
        torch_cases = {f"torch {name}": eager.case(graph) for name, graph in graphs.items() if graph in eager.names}
        timings = interleaved({**exported, **torch_cases}, rounds, on_round)
        left_out = [eager.missing] if eager.missing else []
    absent = [mode for mode in ("full", "fast") if mode not in bundle.manifest.guidance_modes()]
    left_out += [f"guidance {mode}: the bundle has no graphs for it" for mode in absent]
    own = [timing for timing in timings if timing.name in exported]
    others = [Timing(**{**asdict(t), "name": t.name.removeprefix("torch ")}) for t in timings if t not in own]
    return Bench(own, others, left_out)


def exported_cases(bundle: Bundle) -> dict[str, Timed]:
    """The parts of a bundle by name, each to be run on the same observation, on one thread of onnxruntime."""
    engine = OnnxEngine(bundle)
    feeds = observation_feeds(bundle, engine)
    cases = {part: _graph_case(bundle, engine, part, feeds) for part in PARTS}
    modes = ["plain", *(mode for mode in ("full", "fast") if mode in bundle.manifest.guidance_modes())]
    for kind in ("latent", "joint"):
        for mode in modes:
            cases[f"{kind} step {mode}"] = _graph_case(bundle, engine, f"{kind}_step_{mode}", feeds)
    for mode in modes:
        cases[f"chunk {mode}"] = _chunk_case(bundle, engine, mode, feeds, whole_loop=False)
        if f"sampler_{mode}" in bundle.manifest.graphs:
            cases[f"chunk {mode}, one graph"] = _chunk_case(bundle, engine, mode, feeds, whole_loop=True)
    return cases


def _graph_of(name: str) -> str:
    """The graph that does what a part does: "chunk fast" is what `sampler_fast` computes."""
    return name.replace("chunk", "sampler").replace(" ", "_")


def observation_feeds(bundle: Bundle, engine: OnnxEngine) -> dict[str, Array]:
    """Everything that some graph wants to know, for the first observation of a scene."""
    env = TabletopEnv()
    observation, _ = env.reset(seed=SCENE)
    env.close()
    manifest = bundle.manifest
    tokenizer = InstructionTokenizer(bundle.path / TOKENIZER, manifest.dims.text_tokens)
    feeds: dict[str, Array] = {camera.name: observation[camera.name][None] for camera in manifest.cameras}
    feeds["tokens"] = tokenizer.encode(env.instruction)
    feeds["state"] = observation["state"][None]
    feeds.update(engine.run("text", {"tokens": feeds["tokens"]}))
    patches = engine.run("vision", {camera.name: feeds[camera.name] for camera in manifest.cameras})["patches"]
    feeds.update({"start": patches, "current": patches})
    names = manifest.graphs["context"].input_names()
    return {**feeds, **engine.run("context", {name: feeds[name] for name in names})}


def _graph_case(bundle: Bundle, engine: OnnxEngine, graph: str, feeds: dict[str, Array]) -> Timed:
    inputs = {
        tensor.name: feeds.get(tensor.name, _sampling_input(bundle, tensor)) for tensor in bundle.graph(graph).inputs
    }
    return timed(lambda: engine.run(graph, inputs))


def _sampling_input(bundle: Bundle, tensor: TensorSpec) -> Array:
    """What the sampler would give: noise, and the levels of the first step of stage 2."""
    manifest = bundle.manifest
    grid = Grid.of(manifest.schedules, manifest.sampling)
    step = grid.joint[0]
    table = grid.alpha_bar_a if tensor.name.startswith("alpha_bar_a") else grid.alpha_bar_z
    if tensor.name.startswith("alpha_bar"):
        return np.array([table[step.tau_prev if tensor.name.endswith("_prev") else step.tau]], np.float32)
    if tensor.name in ("tau", "scale"):
        return np.array([step.tau if tensor.name == "tau" else manifest.sampling.guidance.scale], np.float32)
    return np.random.default_rng(0).standard_normal(tensor.shape, dtype=np.float32)


def _chunk_case(bundle: Bundle, engine: OnnxEngine, mode: str, feeds: dict[str, Array], whole_loop: bool) -> Timed:
    changes: dict[str, Any] = {"mode": "off" if mode == "plain" else mode, "whole_loop": whole_loop}
    settings = SamplerSettings.of(bundle.manifest.sampling.guidance, **changes)
    sampler = Sampler(engine, bundle.manifest, settings)
    return timed(lambda: sampler.sample(feeds, np.random.default_rng(0)))
