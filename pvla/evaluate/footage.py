"""Episodes to be scored that no policy drove: scripted on fresh scenes, or recorded in a dataset. T is their length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from pvla.datasets.store import Episode, Store
from pvla.errors import InputError
from pvla.evaluate.protocol import Footage
from pvla.sim.env import CAMERA_SIZES, TabletopEnv
from pvla.sim.failures import kind_of
from pvla.sim.instructions import CANONICAL
from pvla.sim.rollout import Rollout, demonstrate, fail

Images = dict[str, npt.NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class Clip:
    """An episode's pictures with what its progress should be.

    Attributes:
        instruction: what is asked.
        pictures: T observations' images, made when they are asked for.
        label: (T,) 0..1.
        success: whether the task was done.
        how: the way in which a scripted run failed, else empty.
    """

    instruction: str
    pictures: Iterator[Images]
    label: npt.NDArray[Any]
    success: bool
    how: str = ""


def open_clip(job: Footage, env: TabletopEnv, dataset: str | None) -> Clip:
    """The clip that a job names; `env` is the task's, for scripted runs and their pictures.

    Raises:
        InputError: the dataset lacks the episode or its label.
    """
    if job.episode:
        return _recorded(Store.open(Path(str(dataset))).episode(job.episode))
    kind = kind_of(job.task, job.number)
    rollout = fail(env, kind, job.seed) if job.failure else demonstrate(env, job.seed)
    label = _time(len(rollout)) if rollout.success else np.array(rollout.progress)
    return Clip(CANONICAL[job.task], _drawn(env, rollout), label, rollout.success, kind if job.failure else "")


def _drawn(env: TabletopEnv, rollout: Rollout) -> Iterator[Images]:
    scene = env.scene
    for qpos in rollout.qpos:
        scene.data.qpos[:] = qpos
        mujoco.mj_kinematics(scene.model, scene.data)
        mujoco.mj_camlight(scene.model, scene.data)
        yield {name: env.picture(name, size, size) for name, size in CAMERA_SIZES.items()}


def _recorded(episode: Episode) -> Clip:
    label = _time(episode.length) if episode.success else episode.extras.get("progress")
    if label is None or not np.isfinite(label).all():
        raise InputError(f"Episode {episode.id} is a failure without a progress label for every frame.")
    frames = ({name: episode.image(name, t) for name in episode.cameras} for t in range(episode.length))
    return Clip(episode.instruction, frames, np.ravel(label), bool(episode.success))


def _time(length: int) -> npt.NDArray[Any]:
    """t/(T-1), the label of a success."""
    return np.linspace(0.0, 1.0, length)
