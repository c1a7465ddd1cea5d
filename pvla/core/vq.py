"""Vector quantisation of latent actions (van den Oord et al., 2017), switchable by the preset."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Quantised(NamedTuple):
    """Straight-through codes (B, K, Z), their indices (B, K), and the codebook and commitment loss (scalar)."""

    latent: Tensor
    codes: Tensor
    loss: Tensor


class VectorQuantizer(nn.Module):
    """Nearest of `codes` learned vectors; the gradient passes straight through to the encoder."""

    def __init__(self, codes: int, dim: int, commitment: float) -> None:
        super().__init__()
        self.commitment = commitment
        self.codebook = nn.Parameter(torch.empty(codes, dim).uniform_(-1 / codes, 1 / codes))

    def forward(self, z: Tensor) -> Quantised:
        """Quantise z (B, K, Z)."""
        distance = torch.cdist(z, self.codebook.unsqueeze(0))
        index = distance.argmin(-1)
        code = F.embedding(index, self.codebook)
        loss = F.mse_loss(code, z.detach()) + self.commitment * F.mse_loss(z, code.detach())
        return Quantised(z + (code - z).detach(), index, loss)

    def usage(self, codes: Tensor) -> float:
        """Share of the codes that `codes` (any shape) uses: near 1 is healthy, 1 / codes is collapse."""
        return torch.unique(codes).numel() / self.codebook.shape[0]
