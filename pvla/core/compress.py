"""Fewer tokens for the denoisers: a view's patches, or an instruction's tokens, compressed to a handful."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pvla.core.layers import Attention, FeedForward, learned_tokens


class QueryCompressor(nn.Module):
    """Learned queries read the tokens by cross-attention: (B, n, D) → (B, count, C), the paper's way."""

    def __init__(self, n: int, width_in: int, width: int, count: int, heads: int) -> None:
        super().__init__()
        self.project = nn.Linear(width_in, width)
        self.position = learned_tokens(n, width)
        self.queries = learned_tokens(count, width)
        self.norm_memory = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm = nn.LayerNorm(width)
        self.mlp = FeedForward(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, n, D) → (B, count, C)."""
        memory = self.norm_memory(self.project(tokens) + self.position)
        x = self.queries.expand(tokens.shape[0], -1, -1)
        x = x + self.attention(x, memory)
        return x + self.mlp(self.norm(x))


class LinearCompressor(nn.Module):
    """A narrow projection of each patch, then one linear map of the flattened grid: (B, n, D) → (B, count, C).

    It keeps where things are without any attention, which two CPU cores can train; it needs a fixed grid.
    """

    def __init__(self, n: int, width_in: int, width: int, count: int, bottleneck: int) -> None:
        super().__init__()
        self.count = count
        self.narrow = nn.Linear(width_in, bottleneck)
        self.mix = nn.Linear(n * bottleneck, count * width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, n, D) → (B, count, C)."""
        x = self.mix(self.narrow(tokens).flatten(1))
        return x.view(tokens.shape[0], self.count, -1)


class ViewCompressor(nn.Module):
    """Each camera's patches compressed by its own weights: (B, V·n, D) → (B, V·count, C)."""

    def __init__(self, views: list[nn.Module]) -> None:
        super().__init__()
        self.views = nn.ModuleList(views)

    def forward(self, patches: Tensor) -> Tensor:
        """(B, V·n, D) → (B, V·count, C)."""
        parts = patches.chunk(len(self.views), dim=1)
        return torch.cat([view(part) for view, part in zip(self.views, parts, strict=True)], dim=1)
