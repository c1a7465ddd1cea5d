"""Parts that are born asleep, woken."""

from __future__ import annotations

import torch
from torch import nn


def wake(part: nn.Module, size: float = 0.3) -> nn.Module:
    """Draw all weights large enough to matter; some start at zero, so that nothing depends on their inputs yet."""
    with torch.no_grad():
        for parameter in part.parameters():
            if parameter.dim() >= 2:
                parameter.copy_(size * torch.randn_like(parameter))
    return part.eval()
