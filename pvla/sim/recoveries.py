"""Mishaps from which an expert recovers: what a policy has to have seen if it is to take up again what it lost.

A demonstration that goes well hardly ever shows an empty hand in mid-air or a bowl put down askew, yet a learner gets
there. As with the disturbance of ``pvla.sim.noise`` (DART: Laskey et al., 2017, arXiv:1703.09327), the mishap happens
to what is executed; what is recorded is what the expert wants, and what it wants next is to put the mishap right.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pvla.sim.env import TabletopEnv
from pvla.sim.expert import Expert
from pvla.sim.skills import SKILLS

Action = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

_CARRY = ("slip", "miss", "slip", "askew")
KINDS: dict[str, tuple[str, ...]] = {
    "pick_peach": ("slip", "miss"),
    "open_drawer": ("miss",),
    "stack_bowls": _CARRY,
    "orange_to_plate": _CARRY,
    "toy_to_drawer": _CARRY,
}
"""Mishaps, by task; they take turns.

slip: the fingers lose what they hold. miss: the first grasp closes beside or above the target. askew: the target is
first let go up to a few centimetres off its place.
"""

SLIP_AFTER = (3, 25)
"""Range of steps for which the target is held before it slips."""

OPEN_STEPS, SHUT_STEPS = (2, 5), (0, 9)
"""Ranges of steps for which slipping fingers are open, and for which they are shut and empty after that."""


def kind_of(task: str, index: int) -> str:
    """The mishap of a task's recovery number ``index``: all take turns."""
    return KINDS[task][index % len(KINDS[task])]


class Slip:
    """Makes the fingers lose what they hold, once: they open for a moment, then shut on nothing.

    The fingers are shut whatever the expert wants, because that is what a policy sees that has not noticed.

    Args:
        rng: source of the decisions.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._wait = int(rng.integers(*SLIP_AFTER))
        self._open, self._shut = int(rng.integers(*OPEN_STEPS)), int(rng.integers(*SHUT_STEPS))

    def __call__(self, action: Action) -> Action:
        """The action (7,) that is executed instead."""
        if self._wait > 0:
            self._wait -= int(action[6] < 0.5)
            return action
        if self._open > 0:
            self._open -= 1
            return _with_gripper(action, 1.0)
        if self._shut > 0:
            self._shut -= 1
            return _with_gripper(action, 0.0)
        return action


def recovering_expert(
    kind: str, env: TabletopEnv, rng: np.random.Generator
) -> tuple[Expert, Callable[[Action], Action]]:
    """Make an expert with one of the mishaps in KINDS[env.task], and what happens to its actions.

    Raises:
        KeyError: there is no such mishap.
    """
    return {"slip": _slip, "miss": _miss, "askew": _askew}[kind](env, rng)


def grasp_error(env: TabletopEnv, rng: np.random.Generator) -> Array:
    """How far a grasp has to be off, (3,), m, to close on nothing: too high, or too near or far from the base."""
    position = env.scene.position(SKILLS[env.task].target)
    outward = np.append(position[:2] / np.hypot(*position[:2]), 0.0)
    error: Array
    if rng.random() < 0.5:
        error = np.array([0.0, 0.0, rng.uniform(0.045, 0.060)])
    else:
        error = rng.choice([-1.0, 1.0]) * rng.uniform(0.045, 0.060) * outward + np.array([0.0, 0.0, 0.01])
    if env.task == "open_drawer":
        error = np.array([rng.uniform(-0.05, 0.0), 0.0, rng.uniform(0.025, 0.045)])
    return error


def _slip(env: TabletopEnv, rng: np.random.Generator) -> tuple[Expert, Callable[[Action], Action]]:
    return Expert(env, rng), Slip(rng)


def _miss(env: TabletopEnv, rng: np.random.Generator) -> tuple[Expert, Callable[[Action], Action]]:
    return Expert(env, rng, grasp_error=grasp_error(env, rng)), as_wanted


def _askew(env: TabletopEnv, rng: np.random.Generator) -> tuple[Expert, Callable[[Action], Action]]:
    angle = rng.uniform(-np.pi, np.pi)
    error = rng.uniform(0.02, 0.06) * np.array([np.cos(angle), np.sin(angle), 0.0])
    return Expert(env, rng, place_error=error), as_wanted


def as_wanted(action: Action) -> Action:
    """No mishap: the action itself."""
    return action


def _with_gripper(action: Action, opening: float) -> Action:
    return np.append(action[:6], np.float32(opening))
