"""The policy: observation and instruction in, progress and action chunks out, all through a bundle's graphs.

P patches, D feature width, K latent tokens, Z latent dimension, H horizon, A action dimension, S state dimension.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pvla.deploy.bundle import TOKENIZER, Bundle
from pvla.deploy.engine import Engine
from pvla.deploy.sampler import Sampler, SamplerSettings
from pvla.deploy.tokenizer import InstructionTokenizer
from pvla.errors import RunFault

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Observation:
    """What is seen and measured at one moment.

    Attributes:
        images: u8 (h, w, 3) by camera name.
        state: (S,) measured joint angles in rad, then gripper opening 0..1.
        time: s, on the clock of the loop that took it.
    """

    images: dict[str, npt.NDArray[np.uint8]]
    state: npt.NDArray[np.float32]
    time: float


@dataclass(frozen=True, eq=False)
class Plan:
    """A chunk of actions with how it came about.

    Attributes:
        actions: (H, A) absolute joint targets in rad and gripper targets 0..1, first for the observed moment.
        latent: (K, Z) the sampled latent action, standardised.
        q: progress that the latent is predicted to lead to; None when nothing evaluated it.
        ratios: |w sqrt(1 - alpha_bar) grad| / |eps| of each guided step.
        fallbacks: guided steps that were not finite and were replaced by plain ones.
        timings: s by part: "vision", "context", "sample".
    """

    actions: Array
    latent: Array
    q: float | None = None
    ratios: list[float] = field(default_factory=list)
    fallbacks: int = 0
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Mean guidance ratio over the guided steps; None when no step was guided or the ratio is not known."""
        return float(np.mean(self.ratios)) if self.ratios else None


class Policy:
    """Progress and plans for one instruction at a time; used from one thread at a time.

    Args:
        bundle: a verified bundle.
        engine: runs its graphs.
        settings: how to sample; the bundle's own guidance by default.
    """

    def __init__(self, bundle: Bundle, engine: Engine, settings: SamplerSettings | None = None) -> None:
        self.manifest = bundle.manifest
        self.settings = settings or SamplerSettings.of(bundle.manifest.sampling.guidance)
        self._engine = engine
        self._sampler = Sampler(engine, self.manifest, self.settings)
        self._tokenizer = InstructionTokenizer(bundle.path / TOKENIZER, self.manifest.dims.text_tokens)
        self._text: Array = np.empty(0, np.float32)
        self._start: Array = np.empty(0, np.float32)
        self._seen: tuple[Observation, Array] | None = None

    def reset(self, instruction: str, observation: Observation) -> None:
        """Begin an episode: encode the instruction and the start o_0; InputError when the instruction is empty."""
        tokens = self._tokenizer.encode(instruction)
        self._text = self._engine.run("text", {"tokens": tokens})["text"]  # (1, L, Dt)
        self._start = self._patches(observation)  # (1, P, D)

    def progress(self, observation: Observation) -> float:
        """P(l, o_0, o_t): how far the task is done, 0..1."""
        feeds = {"text": self._text, "start": self._start, "current": self._patches(observation)}
        return float(self._engine.run("progress", feeds)["progress"][0])

    def plan(self, observation: Observation, rng: np.random.Generator) -> Plan:
        """Sample a chunk for `observation`.

        Raises:
            RunFault: the chunk is not finite.
        """
        timings: dict[str, float] = {}
        with _timed(timings, "vision"):
            current = self._patches(observation)
        with _timed(timings, "context"):
            state = observation.state[None].astype(np.float32)  # (1, S)
            feeds = {"text": self._text, "start": self._start, "current": current, "state": state}
            context = self._engine.run("context", feeds)
        with _timed(timings, "sample"):
            sample = self._sampler.sample(context, rng)
        actions = self.manifest.action_transform.decode(sample.actions, observation.state)
        if not np.isfinite(actions).all():
            raise RunFault("The policy's plan is not finite after decoding: the bundle's action statistics are broken.")
        return Plan(actions, sample.latent, sample.q, sample.ratios, sample.fallbacks, timings)

    def _patches(self, observation: Observation) -> Array:
        """Patches (1, P, D) of an observation; the last one's are kept, as progress and plan ask for the same."""
        if self._seen is None or self._seen[0] is not observation:
            feeds = {camera.name: self._image(observation, camera.name)[None] for camera in self.manifest.cameras}
            self._seen = (observation, self._engine.run("vision", feeds)["patches"])
        return self._seen[1]

    def _image(self, observation: Observation, camera: str) -> Array:
        if camera not in observation.images:
            raise RunFault(f"The policy needs camera {camera!r}, and there are {', '.join(observation.images)}.")
        return observation.images[camera]


@contextmanager
def _timed(timings: dict[str, float], part: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[part] = time.perf_counter() - start
