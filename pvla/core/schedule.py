"""Variance-preserving diffusion: noise schedules, the forward process and the deterministic DDIM step.

The tables equal those of the field's reference schedulers (linear β, squared cosine), which the tests check.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pvla.core.config import ScheduleConfig


class Schedule:
    """A noise schedule: ᾱ_τ for τ = 0 … steps, with ᾱ_0 = 1 (no noise).

    τ counts noising steps: `alpha_bar[τ]` is ᾱ after τ of them, so that τ = `steps` is nearly pure noise and a sampler
    ends at τ = 0 exactly. Reference implementations index from 0; their entry i is our τ = i + 1.
    """

    def __init__(self, config: ScheduleConfig) -> None:
        self.steps = config.steps
        self.clip = config.clip
        beta = _linear_beta(config) if config.kind == "linear" else _squared_cosine_beta(config.steps)
        alpha_bar = torch.cumprod(1.0 - beta, dim=0)
        self.alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), alpha_bar]).float()  # (steps + 1,)

    def at(self, tau: Tensor) -> Tensor:
        """ᾱ_τ for integer τ (B,) → (B,), on τ's device."""
        return self.alpha_bar.to(tau.device)[tau]

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Uniform τ in 1 … steps: (count,) int64."""
        return torch.randint(1, self.steps + 1, (count,), generator=generator)

    def grid(self, start: int, stop: int, count: int) -> list[int]:
        """`count` evenly strided steps from `start` down towards `stop`, `stop` itself left out (it is the end)."""
        return [start - round(i * (start - stop) / count) for i in range(count)]


def _linear_beta(config: ScheduleConfig) -> Tensor:
    return torch.linspace(config.beta_start, config.beta_end, config.steps, dtype=torch.float64)


def _squared_cosine_beta(steps: int, largest: float = 0.999) -> Tensor:
    """β from ᾱ(t) = cos²((t + .008) / 1.008 · π/2) (Nichol and Dhariwal, 2021), each at most `largest`."""

    def alpha_bar(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    ratios = [1 - alpha_bar((i + 1) / steps) / alpha_bar(i / steps) for i in range(steps)]
    return torch.tensor(ratios, dtype=torch.float64).clamp(max=largest)


def _rows(scalar: Tensor, like: Tensor) -> Tensor:
    """(B,) → (B, 1, …) that multiplies `like` row by row."""
    return scalar.view(-1, *([1] * (like.dim() - 1)))


def add_noise(x0: Tensor, noise: Tensor, alpha_bar: Tensor) -> Tensor:
    """x_τ = √ᾱ x_0 + √(1−ᾱ) ε (Eq. 31); alpha_bar is (B,), the others (B, …)."""
    a = _rows(alpha_bar, x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * noise


def ddim_step(x: Tensor, eps: Tensor, alpha_bar: Tensor, alpha_bar_prev: Tensor, clip: float) -> Tensor:
    """One DDIM step (η = 0) from ᾱ to ᾱ_prev: (B, …) → (B, …).

    The clean sample is clipped to ±clip, and ε is then made consistent with it, so that a clipped sample does not carry
    noise that the clip has already removed.
    """
    a, b = _rows(alpha_bar, x), _rows(alpha_bar_prev, x)
    sigma = (1 - a).sqrt()
    x0 = ((x - sigma * eps) / a.sqrt()).clamp(-clip, clip)
    direction = (x - a.sqrt() * x0) / sigma
    return b.sqrt() * x0 + (1 - b).sqrt() * direction
