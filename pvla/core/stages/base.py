"""What a training stage is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from pvla.core.batch import Batch

Metrics = dict[str, float]


class Stage(nn.Module, ABC):
    """A part to train, with its loss.

    Only `trained` has parameters that move; whatever else a stage needs (a teacher) it keeps outside of torch's
    registry. Stages draw their noise from torch's global generator, which `fit` seeds anew at every step: that is what
    makes a resumed run equal to an uninterrupted one.
    """

    name: ClassVar[str]
    healthy: ClassVar[str]
    trained: nn.Module

    @abstractmethod
    def forward(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Loss (scalar, differentiable) and what to log (scalars, detached)."""

    def before(self, batches: list[Batch]) -> None:
        """Measure statistics on a few batches before the first step; they become part of the checkpoint."""
        return
