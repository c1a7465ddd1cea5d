"""Demonstrations that go on after success while the hand is moved about: what is done stays done wherever the hand is.

Demonstrations end soon after success, with the hand where the expert left it. An estimator that has seen nothing else
takes the hand's place for a part of the task, and calls stacked bowls undone when the hand swings away from them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pvla.sim.env import TabletopEnv

Action = npt.NDArray[np.float32]

LINGERING = 16
"""Steps for which such a run goes on after success."""

DRIFT, MEMORY = 0.06, 0.8
"""Spread of what is added to every joint's offset in a step, rad, and the share of the offset that is kept."""


class Wander:
    """Moves the hand about once the task is done: every joint drifts off what is wanted, and back.

    It is a mishap as in ``pvla.sim.recoveries``: what is executed changes, and not what is recorded.

    Args:
        env: says whether the task is done.
        rng: source of the drift.
    """

    def __init__(self, env: TabletopEnv, rng: np.random.Generator) -> None:
        self._env, self._rng = env, rng
        self._offset = np.zeros(6)

    def __call__(self, action: Action) -> Action:
        """The action (7,) that is executed instead."""
        if not self._env.success:
            return action
        self._offset = MEMORY * self._offset + self._rng.normal(0.0, DRIFT, 6)
        executed: Action = action.copy()
        executed[:6] += self._offset.astype(np.float32)
        return executed
