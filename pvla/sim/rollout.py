"""One run of an expert in the scene, without pictures: they are drawn afterwards, only for runs that are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pvla.sim.afterwards import LINGERING, Wander
from pvla.sim.env import TabletopEnv
from pvla.sim.expert import Expert
from pvla.sim.failures import Failing, failing_expert
from pvla.sim.labels import AFTER_SUCCESS, ProgressLabel
from pvla.sim.noise import Disturbance, Pauses
from pvla.sim.recoveries import Mishap, mishap, no_mishap

Array = npt.NDArray[np.float64]

LONGEST = 130
"""A demonstration that is longer has failed, steps."""

LONGEST_RECOVERY = 170
LONGEST_FAILURE = 110
ASTRAY = 0.02
"""By how much what is executed may differ from what was wanted and still count as that, rad and opening."""

TRIES = 8
"""How often a run that was meant to fail, or to recover, and did not is drawn anew."""


class Actor(Protocol):
    """What drives a run."""

    speed: float

    def act(self) -> npt.NDArray[np.float32]:
        """The action (7,) for the state now."""
        ...


@dataclass
class Rollout:
    """What happened in one run: row t of each list belongs to frame t.

    Attributes:
        qpos: positions of the whole scene (nq,), enough to draw any picture of the frame.
        action: what the expert wanted at the frame (7,); what was executed may have been disturbed.
        state: (7,).
        objects: (3n+1,), positions of OBJECT_NAMES and the drawer's opening, m.
        tcp: (3,), m.
        progress: label from the scene's state, 0..1.
        astray: whether a mishap executed something else than the action.
        success: whether the task was done at the end.
        kind: way in which it was meant to fail, or its mishap, or "afterwards"; "" for a demonstration.
    """

    kind: str = ""
    success: bool = False
    qpos: list[Array] = field(default_factory=list)
    action: list[npt.NDArray[np.float32]] = field(default_factory=list)
    state: list[Array] = field(default_factory=list)
    objects: list[Array] = field(default_factory=list)
    tcp: list[Array] = field(default_factory=list)
    progress: list[float] = field(default_factory=list)
    astray: list[bool] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.action)


def demonstrate(env: TabletopEnv, seed: int, noise: bool = True) -> Rollout:
    """Let the expert do the environment's task once, disturbed and with pauses unless ``noise`` is off.

    The run goes on for AFTER_SUCCESS steps after success, or ends as a failure after LONGEST steps.

    Args:
        env: with ``terminate_on_success=False``; it is reset.
        seed: of the layout and of all that is random.
        noise: whether the motion is disturbed and pauses.
    """
    env.reset(seed=seed)
    rng = np.random.default_rng([seed, 1])
    return _run_to_success(_Run(env, Expert(env, rng), rng, Rollout(), noise), LONGEST)


def recover(env: TabletopEnv, kind: str, seed: int) -> Rollout:
    """Let the expert do the environment's task with a mishap in between, one of ``recoveries.KINDS``.

    A run that does not recover is drawn anew, at most TRIES times; the last one is returned whatever it did.
    """
    for attempt in range(TRIES):
        env.reset(seed=seed)
        rng = np.random.default_rng([seed, 4, attempt])
        expert = Expert(env, rng)
        run = _Run(env, expert, rng, Rollout(kind), noise=True, mishap=mishap(kind, env, rng, expert.speed))
        if _run_to_success(run, LONGEST_RECOVERY).success:
            break
    return run.rollout


def linger(env: TabletopEnv, seed: int) -> Rollout:
    """Let the expert do the environment's task, then move the hand about (see ``afterwards``).

    A run at whose end the task is not done is drawn anew, at most TRIES times; the last one is returned.
    """
    for attempt in range(TRIES):
        env.reset(seed=seed)
        rng = np.random.default_rng([seed, 5, attempt])
        run = _Run(env, Expert(env, rng), rng, Rollout("afterwards"), noise=True, mishap=Wander(env, rng))
        if _run_to_success(run, LONGEST + LINGERING, LINGERING).success:
            break
    return run.rollout


def fail(env: TabletopEnv, kind: str, seed: int) -> Rollout:
    """Let the environment's task go wrong once, in one of the ways in KINDS.

    A run that does the task by accident is drawn anew, at most TRIES times; the last one is returned whatever it did.
    """
    for attempt in range(TRIES):
        env.reset(seed=seed)
        rng = np.random.default_rng([seed, 2, attempt])
        rollout = _run_to_end(env, failing_expert(kind, env, rng), rng, kind)
        if not rollout.success:
            break
    return rollout


def _run_to_success(run: _Run, longest: int, after: int = AFTER_SUCCESS) -> Rollout:
    since = 0
    while len(run.rollout) < longest and since <= after + 1:
        run.step()
        since = since + 1 if since or run.env.success else 0
    run.rollout.success = run.env.success
    return run.rollout


def _run_to_end(env: TabletopEnv, actor: Failing, rng: np.random.Generator, kind: str) -> Rollout:
    run = _Run(env, actor, rng, Rollout(kind), noise=True)
    done = False
    while not actor.finished() and len(run.rollout) < LONGEST_FAILURE:
        run.step()
        done = done or env.success
    run.rollout.success = done
    return run.rollout


class _Run:
    def __init__(
        self,
        env: TabletopEnv,
        actor: Actor,
        rng: np.random.Generator,
        rollout: Rollout,
        noise: bool,
        mishap: Mishap = no_mishap,
    ) -> None:
        self.env, self.rollout = env, rollout
        self._actor, self._noise, self._mishap = actor, noise, mishap
        self._label = ProgressLabel(env.scene, env.task, actor.speed)
        self._disturb = Disturbance(rng)
        # No pauses around a mishap: while one lasts, what is recorded is what was wanted before.
        self._pauses = Pauses(rng) if noise and mishap is no_mishap else None
        self._gripper = 1.0

    def step(self) -> None:
        """Record the frame as it is now, then act."""
        action = self._action()
        self._record(action)
        executed = self._mishap(action)
        self.rollout.astray.append(not np.allclose(executed, action, atol=ASTRAY))
        self.env.step(self._disturb(executed) if self._noise else executed)

    def _action(self) -> npt.NDArray[np.float32]:
        hold = self._pauses.hold(self.env.scene.state()) if self._pauses else None
        if hold is None:
            action = self._actor.act()
            self._gripper = float(action[6])
            return action
        hold[6] = self._gripper
        return hold

    def _record(self, action: npt.NDArray[np.float32]) -> None:
        scene, rollout = self.env.scene, self.rollout
        rollout.qpos.append(self.env.qpos())
        rollout.action.append(action.copy())
        rollout.state.append(scene.state())
        rollout.objects.append(np.append(scene.objects().ravel(), scene.drawer()))
        rollout.tcp.append(scene.tcp())
        rollout.progress.append(self._label.of(scene))
