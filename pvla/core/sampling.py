"""Two-stage guided sampling (App. A-E, Eq. 24–25): the latent alone, then latent and action together.

The steps are modules of plain tensors, so that the same objects run eagerly here and are traced for export, gradient
and all. The two processes are aligned by index only: at τ = T_a the action is pure noise, the latent nearly clean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from pvla.core.config import Preset
from pvla.core.denoiser import ActionDecoder, LatentActionExpert
from pvla.core.evaluator import Evaluator, EvaluatorContext, FastEvaluator
from pvla.core.guidance import guide, value_and_gradient
from pvla.core.schedule import Schedule, ddim_step

Mode = Literal["off", "full", "fast"]


class SamplingContext(NamedTuple):
    """All that a sampling run needs of s = (l, o_0, o_t), computed once an observation."""

    latent_cache: Tensor
    action_cache: Tensor
    evaluator: EvaluatorContext
    fast: Tensor


class LatentNext(NamedTuple):
    """Result of a latent step: x^z at the next level, the raw ε and ∇Q (B, K, Z), and Q (B,)."""

    x: Tensor
    eps: Tensor
    grad: Tensor
    q: Tensor


class Policy(nn.Module):
    """The trained parts that sampling needs, and one step of each kind."""

    def __init__(
        self,
        preset: Preset,
        latent_expert: LatentActionExpert,
        action_decoder: ActionDecoder,
        evaluator: Evaluator,
        fast: FastEvaluator,
    ) -> None:
        super().__init__()
        self.preset = preset
        self.latent_expert = latent_expert
        self.action_decoder = action_decoder
        self.evaluator = evaluator
        self.fast = fast
        self.latent_schedule = Schedule(preset.latent_schedule)
        self.action_schedule = Schedule(preset.action_schedule)

    def context(self, text: Tensor, start: Tensor, current: Tensor, state: Tensor) -> SamplingContext:
        """text (B, L, Dt), F_0 and F_t (B, P, D), state (B, S) → context."""
        return SamplingContext(
            self.latent_expert.context(text, current, state),
            self.action_decoder.context(text, current, state),
            self.evaluator.context(text, start, current),
            self.fast.context(text, start, current),
        )

    def score(self, mode: Mode, context: SamplingContext, x: Tensor, tau: Tensor) -> Tensor:
        """Q_τ(x_τ) (B,) by the full evaluator or its fast student."""
        return self.fast(context.fast, x, tau) if mode == "fast" else self.evaluator(context.evaluator, x, tau)

    def latent_step(
        self, mode: Mode, context: SamplingContext, x: Tensor, tau: Tensor, levels: tuple[Tensor, Tensor], scale: Tensor
    ) -> LatentNext:
        """One guided step of the latent.

        Args:
            mode: evaluator whose gradient guides; "off" for none.
            context: see `context`.
            x: x^z_τ (B, K, Z).
            tau: (B,), the step as the networks see it.
            levels: ᾱ_τ and ᾱ of the next step, both (B,).
            scale: guidance scale w (B,) or (1,).
        """
        eps = self.latent_expert(x, tau, context.latent_cache)
        if mode == "off":
            grad, q, guided = torch.zeros_like(eps), torch.zeros_like(tau), eps
        else:
            q, grad = value_and_gradient(lambda z: self.score(mode, context, z, tau), x)
            guided = guide(eps, grad, levels[0], scale.view(-1, 1, 1))
        return LatentNext(ddim_step(x, guided, *levels, self.latent_schedule.clip), eps, grad, q)

    def action_step(
        self, context: SamplingContext, x: Tensor, latent: Tensor, tau: Tensor, levels: tuple[Tensor, Tensor]
    ) -> Tensor:
        """One step of the action chunk x^a_τ (B, H, A), shown the latent (B, K, Z) that was just updated."""
        eps = self.action_decoder(x, latent, tau, context.action_cache)
        return ddim_step(x, eps, *levels, self.action_schedule.clip)


@dataclass(frozen=True)
class Guidance:
    """How sampling is steered.

    `every` guides each m-th step only; `window` bounds the guided τ (both ends included).
    """

    mode: Mode = "full"
    scale: float = 0.0
    every: int = 1
    window: tuple[int, int] = (0, 1000)

    def at(self, index: int, tau: int) -> Mode:
        """The mode of the index-th step of a run, which stands at τ."""
        on = index % self.every == 0 and self.window[0] <= tau <= self.window[1]
        return self.mode if on else "off"


class Sample(NamedTuple):
    """A latent (B, K, Z), a normalised action chunk (B, H, A), and the last Q that guidance saw (B,)."""

    latent: Tensor
    action: Tensor
    q: Tensor


def steps_of(start: int, stop: int, count: int, schedule: Schedule) -> list[tuple[int, int]]:
    """The strided run as pairs (τ, next τ) from `start` to `stop`."""
    grid = schedule.grid(start, stop, count)
    return list(zip(grid, [*grid[1:], stop], strict=True))


@torch.no_grad()
def sample(
    policy: Policy,
    context: SamplingContext,
    latent_noise: Tensor,
    action_noise: Tensor,
    guidance: Guidance,
    latent_steps: int = 10,
    joint_steps: int = 10,
) -> Sample:
    """Two-stage sampling from noise (B, K, Z) and (B, H, A); 900 + 100 steps are the paper's literal run."""
    z, a = latent_noise, action_noise
    B, device = z.shape[0], z.device
    q = torch.zeros(B, device=device)
    scale = torch.full((B,), guidance.scale, device=device)
    boundary = policy.action_schedule.steps
    stage1 = steps_of(policy.latent_schedule.steps, boundary, latent_steps, policy.latent_schedule)
    stage2 = steps_of(boundary, 0, joint_steps, policy.action_schedule)
    for index, (tau, after) in enumerate(stage1 + stage2):
        t = torch.full((B,), tau, device=device)
        mode = guidance.at(index, tau)
        levels = policy.latent_schedule.at(t), policy.latent_schedule.at(torch.full_like(t, after))
        step = policy.latent_step(mode, context, z, t.float(), levels, scale)
        z, q = step.x, step.q if mode != "off" else q
        if index >= len(stage1):
            levels = policy.action_schedule.at(t), policy.action_schedule.at(torch.full_like(t, after))
            a = policy.action_step(context, a, z, t.float(), levels)
    return Sample(z, a, q)
