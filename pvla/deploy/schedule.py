"""Noise schedules in numpy: the tables of cumulative signal (alpha_bar) and the strided steps of both stages.

`alpha_bar[tau]` is the signal after tau noising steps, so `alpha_bar[0]` is 1 and tau = `steps` is (nearly) pure noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pvla.deploy.manifest import ActionSchedule, LatentSchedule, Sampling, Schedules

Table = npt.NDArray[np.float32]

LARGEST_BETA = 0.999


def linear_table(schedule: LatentSchedule) -> Table:
    """alpha_bar of a linear beta: (steps + 1,)."""
    beta = np.linspace(schedule.beta_start, schedule.beta_end, schedule.steps, dtype=np.float64)
    return _table(beta)


def squared_cosine_table(schedule: ActionSchedule) -> Table:
    """alpha_bar of the squared cosine of Nichol and Dhariwal (2021), beta at most .999: (steps + 1,)."""

    def alpha_bar(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    n = schedule.steps
    beta = [1 - alpha_bar((i + 1) / n) / alpha_bar(i / n) for i in range(n)]
    return _table(np.minimum(np.array(beta), LARGEST_BETA))


def _table(beta: npt.NDArray[np.float64]) -> Table:
    return np.concatenate([[1.0], np.cumprod(1.0 - beta)]).astype(np.float32)


def strided(start: int, stop: int, count: int) -> list[int]:
    """`count` evenly strided steps from `start` down towards `stop`, which is left out (it is where they end)."""
    return [start - round(i * (start - stop) / count) for i in range(count)]


@dataclass(frozen=True)
class Step:
    """One DDIM step from diffusion step `tau` to `tau_prev` (< tau)."""

    tau: int
    tau_prev: int


@dataclass(frozen=True)
class Grid:
    """All steps of two-stage sampling with their tables.

    Stage 1 takes the latent alone from tau = latent.steps to action.steps; stage 2 takes latent and action together
    from there to 0. The two noise scales of stage 2 are aligned by index only.
    """

    latent: list[Step]
    joint: list[Step]
    alpha_bar_z: Table
    alpha_bar_a: Table

    @classmethod
    def of(cls, schedules: Schedules, sampling: Sampling) -> Grid:
        """The grid that a bundle's schedules and numbers of steps define."""
        top, seam = schedules.latent.steps, schedules.action.steps
        return cls(
            latent=_steps(strided(top, seam, sampling.latent_steps), seam) if top > seam else [],
            joint=_steps(strided(seam, 0, sampling.joint_steps), 0),
            alpha_bar_z=linear_table(schedules.latent),
            alpha_bar_a=squared_cosine_table(schedules.action),
        )


def _steps(taus: list[int], end: int) -> list[Step]:
    return [Step(tau, prev) for tau, prev in zip(taus, [*taus[1:], end], strict=True)]
