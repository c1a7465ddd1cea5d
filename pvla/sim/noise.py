"""What makes demonstrations uneven: disturbed motion, pauses.

The disturbance follows DART (Laskey et al., 2017, arXiv:1703.09327): what is executed is noisy, what is recorded is
what the expert wanted, so the data shows the way back from states that a learner will drift into.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Action = npt.NDArray[np.float32]

JOINT_SPREAD = 0.006
KICK_SPREAD = 0.035
KICK_CHANCE = 0.03
PAUSE_CHANCE = 0.04


class Disturbance:
    """Adds noise to every joint target and now and then a kick that lasts one to three steps.

    Args:
        rng: source of the noise.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._kick = np.zeros(6)
        self._left = 0

    def __call__(self, action: Action) -> Action:
        """The action (7,) that is executed instead; the gripper's part stays."""
        if self._left == 0 and self._rng.random() < KICK_CHANCE:
            self._left = int(self._rng.integers(1, 4))
            self._kick = self._rng.normal(0.0, KICK_SPREAD, 6)
        noisy = action.astype(np.float64)
        noisy[:6] += self._rng.normal(0.0, JOINT_SPREAD, 6)
        if self._left:
            self._left -= 1
            noisy[:6] += self._kick
        return noisy.astype(np.float32)


class Pauses:
    """Decides when the demonstrator stops for two to six steps.

    Args:
        rng: source of the decisions.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._left = 0
        self._held: Action | None = None

    def hold(self, state: npt.NDArray[np.float64]) -> Action | None:
        """The action (7,) that stays where ``state`` (7,) was when the pause began; None while there is no pause."""
        if self._left == 0:
            if self._rng.random() >= PAUSE_CHANCE:
                return None
            self._left = int(self._rng.integers(2, 7))
            self._held = state.astype(np.float32)
        self._left -= 1
        return self._held
