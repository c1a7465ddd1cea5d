"""Mishaps from which an expert recovers: what a policy has to have seen if it is to take up again what it lost.

A demonstration that goes well hardly ever shows an empty hand in mid-air or a bowl put down askew, yet a learner gets
there. A mishap changes what is executed and never what is recorded: the action beside every frame is what an expert
who sees the scene as it is would do there (Ross et al., 2011, arXiv:1011.0686). To record the erring action itself
would teach the mistake: with it, a policy closed its fingers a centimetre above the bowls.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pvla.sim.env import TabletopEnv
from pvla.sim.expert import Expert, Phase
from pvla.sim.skills import SKILLS

Action = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]
Mishap = Callable[[Action], Action]
"""Turns the action (7,) that is wanted into the one that is executed; called once a step."""

_CARRY = ("slip", "miss", "slip", "askew")
KINDS: dict[str, tuple[str, ...]] = {
    "pick_peach": ("slip", "miss"),
    "open_drawer": ("miss",),
    "stack_bowls": _CARRY,
    "orange_to_plate": _CARRY,
    "toy_to_drawer": _CARRY,
}
"""Mishaps, by task; they take turns.

slip: the fingers lose what they hold. miss: the first grasp closes beside the target or too high. askew: the target is
first let go a few centimetres off its place.
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


class Erring:
    """Does what an expert with an error would do, until it has gone through with it.

    Args:
        expert: acts with the error, and does not see what comes of it.
        until: the first phase in which it is not followed any more.
    """

    def __init__(self, expert: Expert, until: Phase) -> None:
        self._expert, self._until = expert, until
        self._over = False

    def __call__(self, action: Action) -> Action:
        """The action (7,) that is executed instead."""
        if not self._over:
            erring = self._expert.act()
            self._over = self._expert.phase.value >= self._until.value
            if not self._over:
                return erring
        return action


def mishap(kind: str, env: TabletopEnv, rng: np.random.Generator, speed: float) -> Mishap:
    """Make one of the mishaps in KINDS[env.task]; ``speed`` is that of the expert to whom it happens, m per step.

    Raises:
        KeyError: there is no such mishap.
    """
    return _MAKERS[kind](env, rng, speed)


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


def no_mishap(action: Action) -> Action:
    """What is executed is what was wanted."""
    return action


def _slip(env: TabletopEnv, rng: np.random.Generator, speed: float) -> Mishap:
    return Slip(rng)


def _miss(env: TabletopEnv, rng: np.random.Generator, speed: float) -> Mishap:
    """Beside it, far above it, or only a little too high: then it holds badly."""
    error = grasp_error(env, rng) if rng.random() < 0.5 else np.array([0.0, 0.0, rng.uniform(0.008, 0.045)])
    return Erring(Expert(env, rng, speed, grasp_error=error, watchful=False), until=Phase.LIFT)


def _askew(env: TabletopEnv, rng: np.random.Generator, speed: float) -> Mishap:
    angle = rng.uniform(-np.pi, np.pi)
    error = rng.uniform(0.02, 0.06) * np.array([np.cos(angle), np.sin(angle), 0.0])
    return Erring(Expert(env, rng, speed, place_error=error, watchful=False), until=Phase.RETREAT)


def _with_gripper(action: Action, opening: float) -> Action:
    return np.append(action[:6], np.float32(opening))


_MAKERS: dict[str, Callable[[TabletopEnv, np.random.Generator, float], Mishap]] = {
    "slip": _slip,
    "miss": _miss,
    "askew": _askew,
}
