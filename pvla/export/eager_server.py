"""Times the graphs of a bundle in eager torch, one run for each request: `python -m pvla.export.eager_server BUNDLE`.

A program of its own, because `pvla bench` measures without importing torch. It says `ready NAME|NAME|...`, then answers
each line that names a graph with the seconds that one run took; or it says `missing WHY` and ends.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import torch

from pvla.core.checkpoint import load_part
from pvla.core.sampling import Guidance
from pvla.core.text import build_text
from pvla.core.vision import build_vision
from pvla.deploy.bundle import TOKENIZER, Bundle
from pvla.errors import PvlaError
from pvla.export.eager import EagerGraphs, Graph, Tensors
from pvla.export.examples import observation, sampling_inputs
from pvla.export.parts import Parts, find_checkpoints, load_policy, require_stages

SEED = 5

Runs = dict[str, Callable[[], Tensors]]


def main() -> None:
    """Serve the bundle that the command line names, until the input ends."""
    torch.set_num_threads(1)  # as the exported graphs run
    try:
        runs = eager_runs(Bundle.load(Path(sys.argv[1])))
    except PvlaError as error:
        sys.stdout.write(f"missing {error}\n")
        return
    serve(runs, sys.stdin, sys.stdout)


def serve(runs: Runs, requests: TextIO, answers: TextIO) -> None:
    """Answer each request, a line with a name of `runs`, with the seconds that it took."""
    answers.write(f"ready {'|'.join(runs)}\n")
    answers.flush()
    for line in requests:
        start = time.perf_counter()
        runs[line.strip()]()
        answers.write(f"{time.perf_counter() - start:.9f}\n")
        answers.flush()


def eager_runs(bundle: Bundle) -> Runs:
    """Every graph of a bundle in eager torch, by name, on inputs of its own.

    Raises:
        InputError: the bundle lacks checkpoints.
    """
    sampling = bundle.manifest.sampling
    graphs = EagerGraphs(load_parts(bundle.path))
    how = Guidance("full", 0.0, sampling.guidance.every, sampling.guidance.window)
    seen = observation(graphs.parts, SEED)
    top = graphs.policy.action_schedule.steps
    feeds = {**seen, **sampling_inputs(graphs, SEED, top, sampling.guidance.scale or 1.0)}
    wanted = [*graphs.traced(), *graphs.composed(how, sampling.latent_steps, sampling.joint_steps)]
    return {graph.name: _run(graph, feeds) for graph in wanted if graph.name in bundle.manifest.graphs}


def load_parts(bundle: Path) -> Parts:
    """The networks whose checkpoints a bundle carries.

    Raises:
        InputError: one is missing or damaged.
    """
    found = find_checkpoints(bundle)
    preset = require_stages(found, bundle)
    policy, cards = load_policy(found, preset)
    vision, text = build_vision(preset.vision).eval(), build_text(preset.text).eval()
    for name, encoder in (("vision", vision), ("text", text)):
        cards[name] = load_part(bundle / "checkpoints" / f"{name}.safetensors", encoder.requires_grad_(False))
    return Parts(policy, vision, text, bundle / TOKENIZER, cards)


def _run(graph: Graph, feeds: Tensors) -> Callable[[], Tensors]:
    return lambda: graph.run(feeds)


if __name__ == "__main__":
    main()
