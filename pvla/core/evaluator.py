"""The evaluator Q_τ(x_τ, τ, s) = P(l, o_0, D(o_t, x_τ, τ)) (Eq. 16, 22) and its fast student."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvla.core.compress import LinearCompressor, ViewCompressor
from pvla.core.config import Preset
from pvla.core.layers import logistic, time_embedding
from pvla.core.progress import ProgressContext, ProgressEstimator
from pvla.core.world import ForwardDynamics


class EvaluatorContext(NamedTuple):
    """What Q needs of s = (l, o_0, o_t), once an observation: P's context, F_t (B, P, D), and D's tokens of it."""

    progress: ProgressContext
    current: Tensor
    tokens: Tensor


class Evaluator(nn.Module):
    """The noise-conditioned evaluator: a τ-conditioned copy of D, and a P finetuned on what it imagines.

    Latents enter standardised, as diffusion has them; the statistics are the world model's.
    """

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        c = preset.world
        self.dynamics = ForwardDynamics(preset, time_conditioned=True)
        self.estimator = ProgressEstimator(preset)
        self.register_buffer("latent_mean", torch.zeros(c.latent_tokens, c.latent_dim))
        self.register_buffer("latent_std", torch.ones(c.latent_tokens, c.latent_dim))

    def context(self, text: Tensor, start: Tensor, current: Tensor) -> EvaluatorContext:
        """text (B, L, Dt), F_0 and F_t (B, P, D) → context."""
        p = self.estimator.start_context(text, start)
        return EvaluatorContext(p, current, self.dynamics.patch_tokens(current))

    def imagine(self, context: EvaluatorContext, x: Tensor, tau: Tensor) -> Tensor:
        """F̂_{t+N} = D(o_t, x_τ, τ) for x_τ (B, K, Z), τ (B,) in 0 … T_z → (B, P, D)."""
        latent = x * self.latent_std + self.latent_mean
        return self.dynamics.from_tokens(context.tokens, context.current, latent, tau)

    def forward(self, context: EvaluatorContext, x: Tensor, tau: Tensor) -> Tensor:
        """Q_τ(x_τ, τ, s) in [0, 1] (Eq. 22): (B, K, Z), (B,) → (B,)."""
        return self.estimator.progress(context.progress, self.imagine(context, x, tau))


class FastEvaluator(nn.Module):
    """Q̂(x_τ, τ, c): a residual MLP over the latent, modulated by τ and by a summary c of s computed once.

    Distilled from `Evaluator` in value and gradient (Sobolev training, Czarnecki et al., 2017): guidance uses nothing
    but the gradient, so a student that only matches values would be free to be wrong where it counts.
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        c, n = preset.fast_evaluator, preset.vision.patches
        views = [LinearCompressor(n, preset.vision.width, c.context, 1, 16) for _ in range(preset.views)]
        self.views = ViewCompressor([*views])
        tokens = 2 * preset.views + 1
        self.text = nn.Linear(preset.text.width, c.context)
        self.summarise = nn.Sequential(
            nn.Linear(tokens * c.context, c.context), nn.GELU(), nn.Linear(c.context, c.context)
        )
        self.time_width = c.context
        self.modulation = nn.Linear(2 * c.context, c.depth * 2 * c.width)
        self.enter = nn.Linear(preset.world.latent_tokens * preset.world.latent_dim, c.width)
        self.up = nn.ModuleList([nn.Linear(c.width, c.width) for _ in range(c.depth)])
        self.down = nn.ModuleList([nn.Linear(c.width, c.width) for _ in range(c.depth)])
        self.score = nn.Linear(c.width + c.context, 1)

    def context(self, text: Tensor, start: Tensor, current: Tensor) -> Tensor:
        """text (B, L, Dt), F_0 and F_t (B, P, D) → summary c (B, C)."""
        parts = [self.views(current), self.views(current - start), self.text(text.mean(1, keepdim=True))]
        return self.summarise(torch.cat(parts, dim=1).flatten(1))

    def forward(self, context: Tensor, x: Tensor, tau: Tensor) -> Tensor:
        """Q̂ in [0, 1]: c (B, C), x_τ (B, K, Z), τ (B,) → (B,)."""
        condition = torch.cat([context, time_embedding(tau, self.time_width)], dim=-1)
        modulation = self.modulation(condition).chunk(2 * len(self.up), dim=-1)
        h = self.enter(x.flatten(1))
        for i, (up, down) in enumerate(zip(self.up, self.down, strict=True)):
            gain, shift = modulation[2 * i], modulation[2 * i + 1]
            h = h + down(F.silu(up(h) * (1 + gain) + shift))
        return logistic(self.score(torch.cat([h, context], dim=-1)).squeeze(-1))
