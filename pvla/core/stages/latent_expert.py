"""Stage `latent-expert`: ε prediction over standardised latent actions (§ IV-D)."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from pvla.core.batch import Batch
from pvla.core.config import Preset
from pvla.core.denoiser import LatentActionExpert
from pvla.core.stages.base import Stage
from pvla.core.stages.diffusion import NoisyLatents, repeat_rows


class LatentExpertStage(Stage):
    """Trains ε_θ^z to remove the noise from the latent action that E infers between o_t and o_{t+N}."""

    trained: LatentActionExpert
    name = "latent-expert"
    healthy = "eps starts at 1 and ends near .1 (tiny); it depends on how many latent dimensions are alive"

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.draws = preset.train[self.name].draws
        self.latents = NoisyLatents(preset)
        self.trained = LatentActionExpert(preset)

    def before(self, batches: list[Batch]) -> None:
        """Measure the state's statistics."""
        self.trained.denoiser.prefix.measure_state(batches)

    def forward(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """‖ε − ε_θ(x_τ, τ, l, o_t)‖², in the mean over rows and draws."""
        tau = self.latents.any_level(len(batch) * self.draws, batch.now.device)
        x, noise = self.latents.draw(batch, self.draws, tau)
        cache = self.trained.context(batch.text, batch.now, batch.state)
        eps = self.trained(x, tau, repeat_rows(cache, self.draws))
        loss = F.mse_loss(eps, noise)
        return loss, {"eps": loss.detach()}
