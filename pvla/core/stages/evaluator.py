"""Stage `evaluator`: joint finetuning of D and P, then over all noise levels (Eq. 6–8, 22–23)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from pvla.core.batch import Batch
from pvla.core.config import Preset
from pvla.core.evaluator import Evaluator
from pvla.core.progress import ProgressEstimator
from pvla.core.schedule import Schedule, add_noise
from pvla.core.stages.base import Stage
from pvla.core.stages.progress import add_feature_noise, mismatch_text
from pvla.core.world import WorldModel


class EvaluatorStage(Stage):
    """Trains the noise-conditioned evaluator from a trained world model and progress estimator; E stays frozen.

    A quarter of the rows are clean (τ = 0): they are the joint objective of Eq. 8, and they teach the noisy rows, whose
    targets are the mean of the label and of what the clean evaluator says of the same latent.
    """

    trained: Evaluator
    name = "evaluator"
    healthy = "joint below .06, joint_noisy a little above it, l1 as the progress stage left it"

    def __init__(
        self, preset: Preset, world: WorldModel, progress: ProgressEstimator, clean_share: float = 0.25
    ) -> None:
        super().__init__()
        self.schedule = Schedule(preset.latent_schedule)
        self.clean_share = clean_share
        self.feature_noise = preset.train[self.name].feature_noise
        self.trained = Evaluator(preset)
        missing = self.trained.dynamics.load_state_dict(world.forward_dynamics.state_dict(), strict=False)
        if missing.unexpected_keys:
            raise ValueError(f"the world model's D does not fit the evaluator's: {missing.unexpected_keys}")
        self.trained.estimator.load_state_dict(progress.state_dict())
        self.trained.latent_mean.copy_(world.latent_mean)
        self.trained.latent_std.copy_(world.latent_std)

    def _noisy_latent(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """x_τ (B, K, Z), its clean x_0 and τ (B,); τ = 0 in a share of the rows."""
        x0 = batch.latent
        tau = torch.randint(1, self.schedule.steps + 1, (len(batch),), device=x0.device)
        tau = torch.where(torch.rand(len(batch), device=x0.device) < self.clean_share, torch.zeros_like(tau), tau)
        return add_noise(x0, torch.randn_like(x0), self.schedule.at(tau)), x0, tau

    def _progress(self, text: Tensor, batch: Batch, imagined: Tensor) -> tuple[Tensor, Tensor]:
        """P of o_t and of what is imagined (B,), (B,); in training with noise on all frames that P looks at."""
        noise = self.feature_noise if self.training else 0.0
        start, now, imagined = add_feature_noise(noise, batch.start, batch.now, imagined)
        estimator = self.trained.estimator
        context = estimator.start_context(text, start)
        return estimator.progress(context, now), estimator.progress(context, imagined)

    def forward(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """L_world + L_prog + L_joint over noise levels."""
        text, changed = mismatch_text(batch, 0.15)
        x, x0, tau = self._noisy_latent(batch)
        context = self.trained.context(text, batch.start, batch.now)
        imagined = self.trained.imagine(context, x, tau)
        p_now, q = self._progress(text, batch, imagined)
        keep = (~changed).float()
        target = keep * batch.progress_later
        with torch.no_grad():
            clean = self.trained(context, x0, torch.zeros_like(tau))
            lesson = torch.where(tau == 0, target, 0.5 * (target + clean))
        world = F.mse_loss(imagined, batch.later)
        seen = (p_now - keep * batch.progress_now).abs()
        joint = (q - lesson).abs()
        error = (q - target).abs().detach()
        log = {"mse": world.detach(), "l1": seen.mean().detach(), "joint": _mean_where(error, tau == 0)}
        log["joint_noisy"] = _mean_where(error, tau > 0)
        return world + seen.mean() + joint.mean(), log


def _mean_where(x: Tensor, mask: Tensor) -> Tensor:
    return (x * mask).sum() / mask.sum().clamp_min(1)
