"""World model in feature space: inverse dynamics E and forward dynamics D (Eq. 3–5, 21), and D's τ branch (Eq. 23)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pvla.core.config import Preset
from pvla.core.layers import SpatialBlock, SpatioTemporalStack, TimeToken, learned_tokens
from pvla.core.vq import VectorQuantizer


class Posterior(NamedTuple):
    """Gaussian over the latent action: mean and log-variance, both (B, K, Z)."""

    mean: Tensor
    log_variance: Tensor

    def sample(self) -> Tensor:
        """A reparametrised draw (B, K, Z)."""
        return self.mean + torch.exp(0.5 * self.log_variance) * torch.randn_like(self.mean)

    def kl(self) -> Tensor:
        """KL(q ‖ N(0, I)) in nats, summed over the latent, per sample (B,)."""
        variance = self.log_variance.exp()
        return 0.5 * (self.mean.square() + variance - 1 - self.log_variance).flatten(1).sum(1)


class InverseDynamics(nn.Module):
    """E(F_t, F_{t+N}) → posterior over a^z: K learned queries ride along with both frames' patches."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        c = preset.world
        self.queries_count = c.latent_tokens
        self.project = nn.Linear(preset.vision.width, c.width)
        self.position = learned_tokens(preset.patches, c.width)
        self.queries = learned_tokens(c.latent_tokens, c.width)
        self.backbone = SpatioTemporalStack(c.width, c.heads, c.encoder_depth)
        self.norm = nn.LayerNorm(c.width)
        self.to_latent = nn.Linear(c.width, 2 * c.latent_dim)

    def _tokens(self, patches: Tensor) -> Tensor:
        x = self.project(patches) + self.position
        return torch.cat([self.queries.expand(x.shape[0], -1, -1), x], dim=1)

    def forward(self, now: Tensor, later: Tensor) -> Posterior:
        """F_t and F_{t+N} (B, P, D) → posterior of the latent action between them."""
        a, b = self._tokens(now), self._tokens(later)
        _, past = self.backbone.first(a)
        queries = self.backbone.second(b, past)[:, : self.queries_count]
        mean, log_variance = self.to_latent(self.norm(queries)).chunk(2, dim=-1)
        return Posterior(mean, log_variance.clamp(-10.0, 4.0))


class ForwardDynamics(nn.Module):
    """D(F_t, a^z) → F_{t+N}: spatial transformer over [latent tokens; τ; patches], predicting the change of F_t.

    `time_conditioned` adds the τ token of the evaluator's branch; the base world model is τ-agnostic.
    """

    def __init__(self, preset: Preset, time_conditioned: bool = False) -> None:
        super().__init__()
        c = preset.world
        self.lift = nn.Linear(c.latent_dim, c.width)
        self.slot = learned_tokens(c.latent_tokens, c.width)
        self.time = TimeToken(c.width) if time_conditioned else None
        self.project = nn.Linear(preset.vision.width, c.width)
        self.position = learned_tokens(preset.patches, c.width)
        self.blocks = nn.ModuleList([SpatialBlock(c.width, c.heads) for _ in range(c.decoder_depth)])
        self.norm = nn.LayerNorm(c.width)
        self.to_change = nn.Linear(c.width, preset.vision.width)
        nn.init.zeros_(self.to_change.weight)
        nn.init.zeros_(self.to_change.bias)

    def patch_tokens(self, patches: Tensor) -> Tensor:
        """F_t (B, P, D) as tokens (B, P, C): the part of D that a whole sampling run shares."""
        return self.project(patches) + self.position

    def from_tokens(self, tokens: Tensor, patches: Tensor, latent: Tensor, tau: Tensor | None) -> Tensor:
        """F̂_{t+N} (B, P, D), given `patch_tokens` of F_t, F_t itself, a^z (B, K, Z) and, if conditioned, τ (B,)."""
        control = [self.lift(latent) + self.slot]
        if self.time is not None and tau is not None:
            control.append(self.time(tau))
        x = torch.cat([*control, tokens], dim=1)
        for block in self.blocks:
            x = block(x)
        _, x = x.split([x.shape[1] - tokens.shape[1], tokens.shape[1]], dim=1)
        return patches + self.to_change(self.norm(x))

    def forward(self, patches: Tensor, latent: Tensor, tau: Tensor | None = None) -> Tensor:
        """F̂_{t+N} = D(F_t, a^z) or D(F_t, x_τ, τ): (B, P, D), (B, K, Z), (B,) → (B, P, D)."""
        return self.from_tokens(self.patch_tokens(patches), patches, latent, tau)


class WorldModel(nn.Module):
    """E and D with the bottleneck between them, and the statistics that standardise a^z for diffusion."""

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        c = preset.world
        self.inverse = InverseDynamics(preset)
        self.forward_dynamics = ForwardDynamics(preset)
        self.quantizer = VectorQuantizer(c.codes, c.latent_dim, c.commitment) if c.vq else None
        self.register_buffer("latent_mean", torch.zeros(c.latent_tokens, c.latent_dim))
        self.register_buffer("latent_std", torch.ones(c.latent_tokens, c.latent_dim))

    def latent(self, now: Tensor, later: Tensor) -> Tensor:
        """The a^z (B, K, Z) that policy modules see: posterior mean, quantised where the preset says so."""
        mean = self.inverse(now, later).mean
        return mean if self.quantizer is None else self.quantizer(mean).latent

    def standardise(self, latent: Tensor) -> Tensor:
        """x_0 = (a^z − mean) / std, the space in which latents are diffused: (B, K, Z) → (B, K, Z)."""
        return (latent - self.latent_mean) / self.latent_std

    def restore(self, x: Tensor) -> Tensor:
        """Inverse of `standardise`."""
        return x * self.latent_std + self.latent_mean

    def set_latent_statistics(self, latents: Tensor) -> None:
        """Measure mean and std over latents (n, K, Z).

        A dimension that the KL term has switched off carries no information; its tiny spread is widened to a twentieth
        of the largest, so that standardising does not blow its noise up to the size of a signal.
        """
        std = latents.std(0)
        self.latent_mean.copy_(latents.mean(0))
        self.latent_std.copy_(std.clamp_min(max(0.05 * float(std.max()), 1e-6)))
