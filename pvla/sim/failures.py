"""Experts that fail on purpose, so that a progress estimator sees what does not lead to the goal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pvla.sim.env import TabletopEnv
from pvla.sim.expert import HOLDING, Expert, Phase
from pvla.sim.instructions import TASKS
from pvla.sim.recoveries import grasp_error
from pvla.sim.skills import HOVER, SKILLS, Goal

Action = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

LINGER = 8
"""Steps for which a failed run goes on after its last motion."""

_CARRY = ("miss", "drop", "beside", "hover", "knock", "stall", "other_task")
KINDS: dict[str, tuple[str, ...]] = {
    "pick_peach": ("miss", "drop", "short", "knock", "stall", "other_task"),
    "open_drawer": ("miss", "slip", "short", "stall", "other_task"),
    "stack_bowls": _CARRY,
    "orange_to_plate": _CARRY,
    "toy_to_drawer": _CARRY,
}
"""Ways to fail, by task.

miss: closes beside or above the target and goes on empty-handed. drop: the fingers open on the way. beside: lets go
next to the goal. hover: holds the target over the goal for ever. knock: pushes the target away with closed fingers.
stall: stops on the way. slip: the handle slides out after a few centimetres. short: stops just before the goal.
other_task: does another task.
"""


def kind_of(task: str, index: int) -> str:
    """The way in which a task's failure number ``index`` fails: all ways take turns."""
    return KINDS[task][index % len(KINDS[task])]


class Failing(Protocol):
    """Acts like an expert, but in vain."""

    speed: float

    def act(self) -> Action:
        """The action (7,) for the state now."""
        ...

    def finished(self) -> bool:
        """Whether nothing new will happen."""
        ...


def failing_expert(kind: str, env: TabletopEnv, rng: np.random.Generator) -> Failing:
    """Make an expert that fails in one of the ways in KINDS[env.task].

    Raises:
        KeyError: there is no such way to fail.
    """
    return _MAKERS[kind](env, rng)


class Unaware:
    """Misses the target or the goal, notices nothing and goes through all the motions."""

    def __init__(self, expert: Expert) -> None:
        self.speed = expert.speed
        self._expert = expert

    def act(self) -> Action:
        """The unwatchful expert's action."""
        return self._expert.act()

    def finished(self) -> bool:
        """At rest for a while."""
        return self._expert.phase is Phase.REST and self._expert.steps_in_phase >= LINGER


class Loser(Unaware):
    """Opens its fingers after it has carried the target for some way."""

    def __init__(self, expert: Expert, env: TabletopEnv, carried: float) -> None:
        super().__init__(expert)
        self._scene = env.scene
        self._carried = carried
        self._start: Array | None = None
        self._open = False

    def act(self) -> Action:
        """The expert's action, with open fingers once the target has come far enough."""
        action = self._expert.act()
        if self._expert.phase in HOLDING:
            if self._start is None:
                self._start = self._scene.tcp()
            self._open = self._open or bool(np.linalg.norm(self._scene.tcp() - self._start) > self._carried)
        if self._open:
            action[6] = 1.0
        return action


class Quitter:
    """Stops for good, gripper as it is, once a condition holds."""

    def __init__(self, expert: Expert, env: TabletopEnv, quits: Callable[[Expert], bool], wait: int) -> None:
        self.speed = expert.speed
        self._expert, self._scene, self._quits, self._wait = expert, env.scene, quits, wait
        self._held: Action | None = None
        self._waited = 0

    def act(self) -> Action:
        """The expert's action, or the one that was the last."""
        if self._held is None:
            action = self._expert.act()
            if not self._quits(self._expert):
                return action
            joints = self._scene.state()[:6]
            self._held = np.append(joints, action[6]).astype(np.float32)
        self._waited += 1
        return self._held

    def finished(self) -> bool:
        """After it has stood long enough."""
        return self._waited >= self._wait


class Pusher:
    """Goes down beside the target with closed fingers and sweeps it away."""

    def __init__(self, expert: Expert, env: TabletopEnv, direction: float) -> None:
        self.speed = expert.speed
        self._expert, self._scene = expert, env.scene
        self._way = _sweep(SKILLS[env.task].grasp(env.scene), direction)
        self._left = LINGER
        self._steps = 0

    def act(self) -> Action:
        """A step towards the next point of the sweep."""
        self._steps += 1
        goal = self._way[0]
        arrived = float(np.linalg.norm(goal.position - self._scene.tcp())) < 0.012 or self._steps > 30
        if arrived and len(self._way) > 1:
            self._way.pop(0)
            self._steps = 0
        elif arrived:
            self._left -= 1
        return self._expert.toward(goal)

    def finished(self) -> bool:
        """At the end of the sweep for a while."""
        return self._left <= 0


def _sweep(grasp: Goal, direction: float) -> list[Goal]:
    along = np.array([np.cos(direction), np.sin(direction), 0.0])
    before, after = grasp.position - 0.075 * along, grasp.position + 0.06 * along
    closed = Goal(before, grasp.yaw, 0.0)
    low = grasp.position[2] + 0.005
    ends = Goal(after, grasp.yaw, 0.0)
    return [closed.raised_to(low + HOVER), closed.raised_to(low), ends.raised_to(low), ends.raised_to(low + HOVER)]


def _miss(env: TabletopEnv, rng: np.random.Generator) -> Failing:
    """The fingers close on nothing."""
    return Unaware(Expert(env, rng, grasp_error=grasp_error(env, rng), watchful=False))


def _drop(env: TabletopEnv, rng: np.random.Generator) -> Failing:
    far = 0.11 if env.task == "pick_peach" else 0.20
    return Loser(Expert(env, rng, watchful=False), env, rng.uniform(0.04, far))


def _slip(env: TabletopEnv, rng: np.random.Generator) -> Failing:
    return Loser(Expert(env, rng, watchful=False), env, rng.uniform(0.01, 0.045))


def _beside(env: TabletopEnv, rng: np.random.Generator) -> Failing:
    """Off towards the robot or to its right, where nothing tall stands."""
    angle = rng.uniform(np.pi * 0.9, np.pi * 1.5)
    error = rng.uniform(0.10, 0.13) * np.array([np.cos(angle), np.sin(angle), 0.0])
    return Unaware(Expert(env, rng, place_error=error, watchful=False))


def _hover(env: TabletopEnv, rng: np.random.Generator) -> Failing:
    wait = int(rng.integers(10, 24))
    return Quitter(Expert(env, rng), env, lambda expert: expert.phase is Phase.LOWER, wait)


def _short(env: TabletopEnv, rng: np.random.Generator) -> Failing:
    """The drawer stays at 8.5 to 12.3 cm, the peach 2 to 7 cm above the table."""
    wait, scene = int(rng.integers(10, 24)), env.scene
    if env.task == "open_drawer":
        opening = rng.uniform(0.085, 0.123)
        return Quitter(Expert(env, rng), env, lambda expert: scene.drawer() > opening, wait)
    lift = scene.position("peach")[2] + rng.uniform(0.02, 0.055)
    return Quitter(Expert(env, rng), env, lambda expert: bool(scene.position("peach")[2] > lift), wait)


def _stall(env: TabletopEnv, rng: np.random.Generator) -> Failing:
    """Somewhere before the target is let go."""
    last = Phase.CLOSE if env.task in ("pick_peach", "open_drawer") else Phase.CARRY
    phase, after = Phase(int(rng.integers(0, last.value + 1))), int(rng.integers(1, 12))
    wait = int(rng.integers(10, 24))

    def quits(expert: Expert) -> bool:
        return expert.phase.value > phase.value or (expert.phase is phase and expert.steps_in_phase > after)

    return Quitter(Expert(env, rng), env, quits, wait)


def _knock(env: TabletopEnv, rng: np.random.Generator) -> Failing:
    return Pusher(Expert(env, rng), env, rng.uniform(-np.pi, np.pi))


def _other_task(env: TabletopEnv, rng: np.random.Generator) -> Failing:
    task = str(rng.choice([task for task in TASKS if task != env.task]))
    return Unaware(Expert(env, rng, task=task))


_MAKERS: dict[str, Callable[[TabletopEnv, np.random.Generator], Failing]] = {
    "miss": _miss,
    "drop": _drop,
    "slip": _slip,
    "beside": _beside,
    "hover": _hover,
    "short": _short,
    "stall": _stall,
    "knock": _knock,
    "other_task": _other_task,
}
