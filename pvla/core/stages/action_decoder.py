"""Stage `action-decoder`: ε prediction over action chunks, given the latent as noisy as it will be (App. A-D)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from pvla.core.batch import Batch
from pvla.core.config import Preset
from pvla.core.denoiser import ActionDecoder
from pvla.core.schedule import Schedule, add_noise
from pvla.core.stages.base import Stage
from pvla.core.stages.diffusion import NoisyLatents, repeat_rows


class ActionDecoderStage(Stage):
    """Trains ε_θ^a. In stage 2 of sampling both processes are at one index τ ≤ T_a, each with its own schedule.

    That aligns indices, not noise: at τ = T_a the action is pure noise while the latent, on its fine schedule, is
    nearly clean. Training shows the decoder exactly these pairs.
    """

    trained: ActionDecoder
    name = "action-decoder"
    healthy = "eps starts at 1, below .15 in a few hundred steps, ends near .05 (tiny)"

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.draws = preset.train[self.name].draws
        self.latents = NoisyLatents(preset)
        self.schedule = Schedule(preset.action_schedule)
        self.trained = ActionDecoder(preset)

    def before(self, batches: list[Batch]) -> None:
        """Measure the state's statistics."""
        self.trained.denoiser.prefix.measure_state(batches)

    def forward(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """‖ε − ε_θ^a(x^a_τ, x^z_τ, τ, s)‖², in the mean over rows and draws."""
        tau = torch.randint(1, self.schedule.steps + 1, (len(batch) * self.draws,), device=batch.now.device)
        latent, _ = self.latents.draw(batch, self.draws, tau)
        x0 = repeat_rows(batch.action, self.draws)
        noise = torch.randn_like(x0)
        x = add_noise(x0, noise, self.schedule.at(tau))
        cache = self.trained.context(batch.text, batch.now, batch.state)
        loss = F.mse_loss(self.trained(x, latent, tau, repeat_rows(cache, self.draws)), noise)
        return loss, {"eps": loss.detach()}
