"""Carries out the jobs of an evaluation, one at a time: a bundle's policies, the environments, one thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from pvla.deploy.bundle import Bundle
from pvla.deploy.engine import Engine, OnnxEngine
from pvla.deploy.policy import Observation, Policy
from pvla.deploy.rollout import EpisodeResult, EpisodeSettings, Watcher, simulate_episode
from pvla.deploy.sim_arm import check_fits_simulator
from pvla.evaluate.footage import open_clip
from pvla.evaluate.protocol import NOISE_STREAM, Footage, Job, Protocol, Trial
from pvla.evaluate.records import FootageRecord, Probe, Record, TrialRecord
from pvla.score.curve import done_index
from pvla.score.estimator import BundleEstimator
from pvla.sim.env import TabletopEnv
from pvla.sim.instructions import CANONICAL, TASKS
from pvla.sim.scene import Scene
from pvla.sim.tasks import SuccessCheck

Floats = npt.NDArray[Any]


class CancelledError(Exception):
    """The evaluation was interrupted in the middle of a job, which leaves nothing behind."""


class Laboratory:
    """Everything that jobs need, made once a process.

    Args:
        protocol: what is evaluated.
        bundle: the policy.
        engine: runs its graphs; onnxruntime on one thread by default.

    Raises:
        InputError: the bundle is not for the simulated arm, or lacks the graphs of an arm of the protocol.
    """

    def __init__(self, protocol: Protocol, bundle: Bundle, engine: Engine | None = None) -> None:
        check_fits_simulator(bundle.manifest)
        engine = engine or OnnxEngine(bundle)
        self._protocol = protocol
        self._policies = {arm: Policy(bundle, engine, settings) for arm, settings in protocol.arms.items()}
        self._estimator = BundleEstimator(bundle, engine)

    def run(self, job: Job, cancelled: Callable[[], bool] = lambda: False) -> Record:
        """Carry out a job.

        Raises:
            CancelledError: `cancelled` said so.
        """
        if isinstance(job, Footage):
            return self._score(job, cancelled)
        goals = GoalWatch(_env(job.task).scene)

        def watch(observation: Observation, action: Floats, progress: float) -> None:
            if cancelled():
                raise CancelledError
            goals.look()

        result = self.simulate(job, watch)
        goals.look()
        return _trial_record(job, result, goals.first)

    def simulate(self, trial: Trial, watch: Watcher) -> EpisodeResult:
        """The episode of a trial, the same each time."""
        settings = EpisodeSettings(
            seed=trial.seed,
            instruction=trial.instruction,
            max_steps=self._protocol.max_steps,
            until="success",
            after_success=self._protocol.after_success,
            control=self._protocol.control,
            stop=self._protocol.stop,
        )
        rng = np.random.default_rng([trial.seed, NOISE_STREAM])
        return simulate_episode(_env(trial.task), self._policies[trial.arm], rng, settings, watch)

    def positions(self, task: str) -> Floats:
        """All positions (nq,) of the task's scene as it is now."""
        return _env(task).qpos()

    def _score(self, job: Footage, cancelled: Callable[[], bool]) -> FootageRecord:
        clip = open_clip(job, _env(job.task), self._protocol.dataset)
        features = []
        for images in clip.pictures:
            if cancelled():
                raise CancelledError
            features.append(self._estimator.features(images))
        seen = np.stack(features)  # (T, P, D)
        progress = self._estimator.progress(clip.instruction, seen[0], seen)
        distance = np.sqrt(np.square(seen - seen[:1]).mean(axis=(1, 2)))  # (T,)
        ask = partial(self._ask, cancelled)
        return FootageRecord(
            key=job.key,
            task=job.task,
            seed=job.seed,
            instruction=clip.instruction,
            success=clip.success,
            how=clip.how,
            label=_rounded(clip.label),
            progress=_rounded(progress),
            distance=_rounded(distance),
            done_frame=self._done(progress),
            backwards=ask(clip.instruction, seen[::-1]) if job.probed else None,
            others={t: ask(CANONICAL[t], seen) for t in TASKS if job.probed and t != job.task},
        )

    def _ask(self, cancelled: Callable[[], bool], instruction: str, features: npt.NDArray[np.float32]) -> Probe:
        if cancelled():
            raise CancelledError
        progress = self._estimator.progress(instruction, features[0], features)
        done = self._done(progress) is not None
        return Probe(end=round(float(progress[-1]), 4), highest=round(float(progress.max()), 4), done=done)

    def _done(self, progress: Floats) -> int | None:
        stop = self._protocol.stop
        return done_index(progress, stop.threshold, stop.consecutive)


class GoalWatch:
    """Notes when each task's goal state is first there, whatever was instructed.

    Attributes:
        first: steps carried out by then, by task.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._checks = {task: SuccessCheck(task) for task in TASKS}
        self._step = -1
        self.first: dict[str, int] = {}

    def look(self) -> None:
        """Look at the scene at the start, and after each step."""
        self._step += 1
        for task, check in self._checks.items():
            if self._step and check.update(self._scene):
                self.first.setdefault(task, self._step)


@cache
def _env(task: str) -> TabletopEnv:
    return TabletopEnv(task, terminate_on_success=False, max_steps=10**9)


def _trial_record(trial: Trial, result: EpisodeResult, goals: dict[str, int]) -> TrialRecord:
    return TrialRecord(
        key=trial.key,
        task=trial.task,
        arm=trial.arm,
        seed=trial.seed,
        instruction=trial.instruction,
        success=result.success,
        success_step=result.success_step,
        stop_step=result.stop_step,
        goals=goals,
        steps=result.steps,
        chunks=result.chunks,
        starved=result.starved,
        path_length=round(result.path_length, 4),
        progress=_rounded(result.progress),
        ratio=float(np.mean(result.ratios)) if result.ratios else None,
        fallbacks=result.fallbacks,
        interventions=result.interventions,
        plan_ms=round(float(np.median(result.plan_ms)), 3) if result.plan_ms else 0.0,
    )


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 4) for value in values]
