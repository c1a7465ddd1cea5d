"""Which action is next: chunks are aligned by steps consumed, delayed, executed in part, blended at the seam.

A plan made from the observation before step s holds the actions of steps s, s + 1, ... s + H - 1. However long the
inference takes, the action of step n is entry n - s: latency shifts when a plan is taken up, never what it means.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _Chunk:
    actions: Array  # (H, A)
    origin: int  # step of actions[0]

    def at(self, step: int) -> Array | None:
        index = step - self.origin
        return self.actions[index] if 0 <= index < len(self.actions) else None


class ChunkBuffer:
    """Hands out one action per step.

    Args:
        execute: actions executed of each chunk before the next one is wanted (at least `delay` in effect).
        delay: steps between an observation and the first use of its plan.
        blend: steps over which a new chunk replaces the old one linearly; 0 switches at once.
    """

    def __init__(self, execute: int, delay: int, blend: int = 0) -> None:
        self._execute, self._delay, self._blend = execute, delay, blend
        self._current: _Chunk | None = None
        self._previous: _Chunk | None = None
        self._taken_at = 0
        self._pending: deque[_Chunk] = deque()
        self._requested_at: int | None = None
        self._in_flight = False
        self.step = 0
        self.chunks = 0
        self.starved = 0

    def wants_plan(self) -> bool:
        """Whether a plan should be asked for from the observation before the current step."""
        if self._requested_at is None:
            return True
        return not self._in_flight and self.step - self._requested_at >= self._execute

    def requested(self) -> None:
        """A plan was asked for from the observation before the current step."""
        self._requested_at = self.step
        self._in_flight = True

    def failed(self) -> None:
        """The plan asked for will not come: another one is wanted at once."""
        self._requested_at = None
        self._in_flight = False

    def offer(self, actions: Array, origin: int) -> None:
        """Take a plan (H, A) whose observation was the one before step `origin`.

        The very first plan is usable at once: the arm stood still while it was made.
        """
        self._in_flight = False
        self._pending.append(_Chunk(np.asarray(actions), origin))

    def next(self) -> Array | None:
        """The action (A,) of the current step, which is then consumed; None (and no step consumed) without a plan."""
        self._take_up()
        action = self._blended()
        if action is None:
            self.starved += 1
            return None
        self.step += 1
        return action

    def _take_up(self) -> None:
        while self._pending and (self._current is None or self.step >= self._pending[0].origin + self._delay):
            self._previous, self._current = self._current, self._pending.popleft()
            self._taken_at = self.step
            self.chunks += 1

    def _blended(self) -> Array | None:
        new = self._current.at(self.step) if self._current else None
        old = self._previous.at(self.step) if self._previous else None
        since = self.step - self._taken_at
        if new is None or old is None or since >= self._blend:
            return new
        weight = (since + 1) / (self._blend + 1)
        return (1 - weight) * old + weight * new
