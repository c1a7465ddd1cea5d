"""How punctual the loop was and how long inference took: percentiles of what was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel


class Spread(BaseModel):
    """Median, 95 % quantile and largest of some durations, in ms, and how many there were."""

    p50_ms: float
    p95_ms: float
    max_ms: float
    count: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """The spread of durations in s; zeros when there are none."""
        if not seconds:
            return cls(p50_ms=0.0, p95_ms=0.0, max_ms=0.0, count=0)
        p50, p95, top = (round(float(value) * 1000, 2) for value in np.quantile(seconds, [0.5, 0.95, 1.0]))
        return cls(p50_ms=p50, p95_ms=p95, max_ms=top, count=len(seconds))


class LoopTiming(BaseModel):
    """Timing of a run: ticks, ticks whose command went out late, and the spreads of lateness and inference.

    A tick is missed when its command went out more than half a period after its time, or not at all.
    """

    ticks: int
    missed: int
    starved: int
    late: Spread
    plan: Spread
    progress: Spread
