"""What both diffusion stages share: noisy latents of the data, and several noise draws an observation."""

from __future__ import annotations

import torch
from torch import Tensor

from pvla.core.batch import Batch
from pvla.core.config import Preset
from pvla.core.schedule import Schedule, add_noise


def repeat_rows(x: Tensor, draws: int) -> Tensor:
    """Each row `draws` times: (B, …) → (B · draws, …)."""
    return x.repeat_interleave(draws, dim=0)


class NoisyLatents:
    """Standardised latents x_0 of a batch, noised by the latent schedule."""

    def __init__(self, preset: Preset) -> None:
        self.schedule = Schedule(preset.latent_schedule)

    def any_level(self, count: int, device: torch.device) -> Tensor:
        """Uniform τ in 1 … T_z: (count,)."""
        return torch.randint(1, self.schedule.steps + 1, (count,), device=device)

    def draw(self, batch: Batch, draws: int, tau: Tensor) -> tuple[Tensor, Tensor]:
        """x_τ and its noise ε, both (B · draws, K, Z), for τ (B · draws,)."""
        x0 = repeat_rows(batch.latent, draws)
        noise = torch.randn_like(x0)
        return add_noise(x0, noise, self.schedule.at(tau)), noise
