"""Stage `progress`: L1 regression of P on progress labels (Eq. 2), with what is not progress among the examples."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pvla.core.batch import Batch
from pvla.core.config import Preset
from pvla.core.progress import ProgressEstimator
from pvla.core.stages.base import Stage


def mismatch_text(batch: Batch, share: float) -> tuple[Tensor, Tensor]:
    """Give a share of the rows the instruction of another task: texts (B, L, Dt), and which rows changed (B,) bool.

    Rows whose neighbour is of the same task keep theirs: another wording of it is no wrong instruction.
    """
    other = batch.text.roll(1, dims=0)
    differs = batch.task.roll(1) != batch.task
    changed = (torch.rand(len(batch), device=batch.text.device) < share) & differs
    return torch.where(changed.view(-1, 1, 1), other, batch.text), changed


def add_feature_noise(share: float, *frames: Tensor) -> list[Tensor]:
    """Each of the frames (B, P, D) with Gaussian noise: `share` of the spread that each feature has over them all."""
    if share == 0.0:
        return list(frames)
    spread = torch.cat(frames).std(dim=0, unbiased=False).detach()
    return [f + share * spread * torch.randn_like(f) for f in frames]


class ProgressStage(Stage):
    """Trains P on t/T of successes, on labelled failures, on wrong instructions, and with views missing.

    Successes alone teach an estimator that whatever lasts is progress: it then calls failures done. A wrong instruction
    has label 0: nothing done for another task counts for this one. A blank view makes one-camera videos scorable.
    """

    blank: Tensor
    name = "progress"
    healthy = "l1 falls below .08 within a thousand steps and ends near .05; l1_mismatch below .1"

    def __init__(self, preset: Preset, blank: Tensor, mismatch: float = 0.15, blank_share: float = 0.1) -> None:
        """`mismatch` and `blank_share`: shares of the rows; `blank` (P, D): patches of black pictures."""
        super().__init__()
        self.trained = ProgressEstimator(preset)
        self.views = preset.views
        self.feature_noise = preset.train[self.name].feature_noise
        self.mismatch = mismatch
        self.blank_share = blank_share
        self.register_buffer("blank", blank, persistent=False)

    def _hide_views(self, *frames: Tensor) -> list[Tensor]:
        """Replace all views but the first by the features of a blank picture in a share of the rows."""
        if self.views == 1:
            return list(frames)
        keep = self.blank.shape[0] // self.views
        hidden = (torch.rand(frames[0].shape[0], device=frames[0].device) < self.blank_share).view(-1, 1, 1)
        later = torch.arange(self.blank.shape[0], device=hidden.device).view(1, -1, 1) >= keep
        return [torch.where(hidden & later, self.blank, f) for f in frames]

    def forward(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """L1 of P, in the mean over the rows (Eq. 2)."""
        text, changed = mismatch_text(batch, self.mismatch)
        noise = self.feature_noise if self.training else 0.0
        start, now = self._hide_views(*add_feature_noise(noise, batch.start, batch.now))
        target = torch.where(changed, torch.zeros_like(batch.progress_now), batch.progress_now)
        error = (self.trained(text, start, now) - target).abs()
        log = {"l1": error[~changed].mean().detach()}
        if bool(changed.any()):
            log["l1_mismatch"] = error[changed].mean().detach()
        return error.mean(), log
