"""Stage `world-model`: feature reconstruction with a KL-regularised latent action (Eq. 5), VQ where the preset asks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from pvla.core.batch import Batch
from pvla.core.config import Preset
from pvla.core.stages.base import Stage
from pvla.core.world import WorldModel


class WorldStage(Stage):
    """Trains E and D together: D must rebuild F_{t+N} from F_t and the latent that E infers."""

    trained: WorldModel
    name = "world-model"
    healthy = "mse well below copy (a third is good), kl 5 to 30 nats; kl near 0 is collapse, codes near 1/16 too"

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.trained = WorldModel(preset)
        self.kl_weight = preset.world.kl_weight

    def forward(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """MSE of the imagined features + weighted KL + codebook terms."""
        world = self.trained
        posterior = world.inverse(batch.now, batch.later)
        latent = posterior.sample() if self.training else posterior.mean
        kl = posterior.kl().mean()
        loss = self.kl_weight * kl
        log = {"kl": kl.detach()}
        if world.quantizer is not None:
            quantised = world.quantizer(latent)
            latent = quantised.latent
            loss = loss + quantised.loss
            log["codes"] = torch.tensor(world.quantizer.usage(quantised.codes))
        mse = F.mse_loss(world.forward_dynamics(batch.now, latent), batch.later)
        log["mse"] = mse.detach()
        log["copy"] = F.mse_loss(batch.now, batch.later).detach()
        return loss + mse, log
