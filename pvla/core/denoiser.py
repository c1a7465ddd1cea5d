"""Latent action expert and action decoder: ε-predicting causal transformers (paper, App. A-D).

Sequence: [text][visual tokens][state][condition][τ][noisy tokens]. Everything up to the state depends on the
observation only and is computed once (`context`); a denoising step reads it as a cache of keys and values.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pvla.core.batch import Batch
from pvla.core.causal import CausalTransformer
from pvla.core.compress import LinearCompressor, QueryCompressor, ViewCompressor
from pvla.core.config import DenoiserConfig, Preset
from pvla.core.layers import TimeToken


class ObservationPrefix(nn.Module):
    """The tokens of what a denoiser knows: instruction, current views, robot state → (B, m, C)."""

    state_mean: Tensor
    state_std: Tensor

    def __init__(self, preset: Preset, config: DenoiserConfig) -> None:
        super().__init__()
        self.noise = config.state_noise
        self.text_project = nn.Linear(preset.text.width, config.width)
        self.text_compress = (
            QueryCompressor(preset.text.tokens, config.width, config.width, config.text_tokens, config.heads)
            if config.text_tokens
            else nn.Identity()
        )
        self.visual = ViewCompressor([_view_compressor(preset, config) for _ in range(preset.views)])
        self.state = nn.Linear(preset.actions.state, config.width)
        self.register_buffer("state_mean", torch.zeros(preset.actions.state))
        self.register_buffer("state_std", torch.ones(preset.actions.state))
        text = config.text_tokens or preset.text.tokens
        self.length = text + preset.views * config.visual_tokens + 1

    def measure_state(self, batches: list[Batch]) -> None:
        """Mean and standard deviation of the robot state over some batches; kept in the checkpoint."""
        states = torch.cat([b.state for b in batches])
        self.state_mean.copy_(states.mean(0))
        self.state_std.copy_(states.std(0).clamp_min(1e-6))

    def forward(self, text: Tensor, patches: Tensor, state: Tensor) -> Tensor:
        """text (B, L, Dt), patches (B, P, D), state (B, S) → (B, m, C).

        In training the state is blurred a little: a policy that reads its own joints too exactly copies its past.
        """
        s = (state - self.state_mean) / self.state_std
        if self.training:
            s = s + self.noise * torch.randn_like(s)
        words = self.text_compress(self.text_project(text))
        return torch.cat([words, self.visual(patches), self.state(s).unsqueeze(1)], dim=1)


def _view_compressor(preset: Preset, config: DenoiserConfig) -> nn.Module:
    n, D = preset.vision.patches, preset.vision.width
    if config.compressor == "linear":
        return LinearCompressor(n, D, config.width, config.visual_tokens, config.bottleneck)
    return QueryCompressor(n, D, config.width, config.visual_tokens, config.heads)


class Denoiser(nn.Module):
    """ε_θ over `rows` noisy rows of `dim` numbers, `condition_rows` rows of `condition_dim` numbers known besides.

    With `group` > 1 so many rows share one token (the same numbers in fewer tokens).
    """

    def __init__(
        self,
        preset: Preset,
        config: DenoiserConfig,
        rows: int,
        dim: int,
        condition_rows: int,
        condition_dim: int,
    ) -> None:
        super().__init__()
        if rows % config.group or condition_rows % config.group:
            raise ValueError(f"{rows} noisy and {condition_rows} condition rows cannot be grouped by {config.group}")
        self.rows, self.dim, self.group = rows, dim, config.group
        self.prefix = ObservationPrefix(preset, config)
        suffix = condition_rows // config.group + 1 + rows // config.group
        self.transformer = CausalTransformer(
            config.width, config.depth, config.heads, config.mlp, self.prefix.length + suffix, config.dropout
        )
        self.condition = nn.Linear(condition_dim * config.group, config.width) if condition_rows else None
        self.time = TimeToken(config.width)
        self.enter = nn.Linear(dim * config.group, config.width)
        self.leave = nn.Linear(config.width, dim * config.group)

    def context(self, text: Tensor, patches: Tensor, state: Tensor) -> Tensor:
        """Cache of the prefix, once an observation: → (B, depth, 2, heads, m, C / heads)."""
        return self.transformer.prefill(self.prefix(text, patches, state))

    def _grouped(self, x: Tensor) -> Tensor:
        B, n, d = x.shape
        return x.reshape(B, n // self.group, self.group * d)

    def denoise(self, x: Tensor, tau: Tensor, cache: Tensor, condition: Tensor | None) -> Tensor:
        """ε (B, rows, dim) for noisy x (B, rows, dim) at steps τ (B,), given the cache of `context`.

        Raises:
            ValueError: a condition is given to a denoiser that has none, or lacks where there is one.
        """
        tokens = [self.time(tau), self.enter(self._grouped(x))]
        if (self.condition is None) != (condition is None):
            raise ValueError("a condition must be given exactly where the denoiser has condition rows")
        if self.condition is not None and condition is not None:
            tokens.insert(0, self.condition(self._grouped(condition)))
        out = self.transformer.extend(torch.cat(tokens, dim=1), cache)
        noisy = self.rows // self.group
        _, out = out.split([out.shape[1] - noisy, noisy], dim=1)
        return self.leave(out).reshape(x.shape)


class LatentActionExpert(nn.Module):
    """ε_θ^z(x^z_τ, τ, s): diffusion over the standardised latent action (B, K, Z)."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        w = preset.world
        self.denoiser = Denoiser(preset, preset.latent_expert, w.latent_tokens, w.latent_dim, 0, 0)

    def context(self, text: Tensor, patches: Tensor, state: Tensor) -> Tensor:
        """See `Denoiser.context`."""
        return self.denoiser.context(text, patches, state)

    def forward(self, x: Tensor, tau: Tensor, cache: Tensor) -> Tensor:
        """Noise in x^z_τ (B, K, Z) at τ (B,) in 1 … T_z → (B, K, Z)."""
        return self.denoiser.denoise(x, tau, cache, None)


class ActionDecoder(nn.Module):
    """ε_θ^a(x^a_τ, x^z_τ, τ, s): diffusion over the action chunk (B, H, A), shown the noisy latent (B, K, Z)."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        a, w = preset.actions, preset.world
        self.denoiser = Denoiser(preset, preset.action_decoder, a.horizon, a.width, w.latent_tokens, w.latent_dim)

    def context(self, text: Tensor, patches: Tensor, state: Tensor) -> Tensor:
        """See `Denoiser.context`."""
        return self.denoiser.context(text, patches, state)

    def forward(self, x: Tensor, latent: Tensor, tau: Tensor, cache: Tensor) -> Tensor:
        """Noise in x^a_τ (B, H, A), given x^z (B, K, Z), at τ (B,) in 1 … T_a → (B, H, A)."""
        return self.denoiser.denoise(x, tau, cache, latent)
