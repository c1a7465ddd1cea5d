"""Time, as the control loop sees it; tests put a clock of their own in its place."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock that one can wait on."""

    def now(self) -> float:
        """Monotonic time in s."""
        ...

    def wait_until(self, when: float) -> None:
        """Return at time `when`, at once if that is past."""
        ...


class RealClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Monotonic time in s."""
        return time.monotonic()

    def wait_until(self, when: float) -> None:
        """Sleep until `when`; a signal handler may run meanwhile."""
        while (left := when - time.monotonic()) > 0:
            time.sleep(left)
