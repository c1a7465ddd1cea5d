"""What a training step sees."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Draws of (l, o_0, o_t, o_{t+N}, actions), one a row.

    Attributes:
        text: token states (B, L, Dt).
        start: F_0 (B, P, D).
        now: F_t (B, P, D).
        later: F_{t+N} (B, P, D), of the same episode and after t.
        state: robot state at t (B, S), in the dataset's units.
        action: chunk from t on (B, H, A), normalised to [−1, 1].
        progress_now: p* of o_t (B,).
        progress_later: p* of o_{t+N} (B,).
        task: index of the row's task (B,) int64; rows of one task ask for the same thing in whatever words.
        latent: x_0 = standardised a^z between o_t and o_{t+N} (B, K, Z); (B, 0, 0) before a world model has made it.
    """

    text: Tensor
    start: Tensor
    now: Tensor
    later: Tensor
    state: Tensor
    action: Tensor
    progress_now: Tensor
    progress_later: Tensor
    task: Tensor
    latent: Tensor

    def __len__(self) -> int:
        return self.now.shape[0]

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        return Batch(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})
