"""Termination by progress: done when P stays at or above a threshold for some observations in a row."""

from __future__ import annotations

import math

from pvla.deploy.manifest import Stop


class Termination:
    """Counts consecutive observations whose progress reaches the threshold; once done, it stays done."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._streak = 0
        self.done = False

    def update(self, progress: float) -> bool:
        """Take the progress of the next observation; True when the task is done. NaN breaks the streak."""
        reached = math.isfinite(progress) and progress >= self._stop.threshold
        self._streak = self._streak + 1 if reached else 0
        self.done = self.done or self._streak >= self._stop.consecutive
        return self.done
