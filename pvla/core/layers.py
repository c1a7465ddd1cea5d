"""The few layers that every part is made of: attention, feed-forward blocks, norms, positions, time embedding."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention from queries (B, Nq, C) to a memory (B, Nk, C); self-attention when both are the same."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of {heads} heads")
        self.heads = heads
        self.dropout = dropout
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width)

    def keys_values(self, memory: Tensor) -> Tensor:
        """Project a memory once, for many queries: (B, Nk, C) → (B, 2, heads, Nk, C / heads)."""
        B, N, C = memory.shape
        return self.kv(memory).view(B, N, 2, self.heads, C // self.heads).permute(0, 2, 3, 1, 4)

    def attend(self, x: Tensor, keys_values: Tensor) -> Tensor:
        """Attention of x (B, Nq, C) to a projected memory (see `keys_values`) → (B, Nq, C)."""
        B, N, C = x.shape
        q = self.q(x).view(B, N, self.heads, C // self.heads).transpose(1, 2)
        k, v = keys_values.unbind(1)
        p = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=p)
        return self.out(y.transpose(1, 2).reshape(B, N, C))

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """Attention of x (B, Nq, C) to memory (B, Nk, C) → (B, Nq, C)."""
        return self.attend(x, self.keys_values(memory))


class FeedForward(nn.Module):
    """Two linear layers with GELU, four times wider inside: (..., C) → (..., C)."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) → (..., C)."""
        return self.drop(self.down(F.gelu(self.up(x))))


class SpatialBlock(nn.Module):
    """Pre-norm transformer block over the tokens of one frame: (B, n, C) → (B, n, C)."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm_spatial = nn.LayerNorm(width)
        self.spatial = Attention(width, heads, dropout)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = FeedForward(width, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n, C) → (B, n, C)."""
        h = self.norm_spatial(x)
        x = x + self.spatial(h, h)
        return x + self.mlp(self.norm_mlp(x))


class SpatioTemporalBlock(nn.Module):
    """Spatial attention inside a frame, causal attention over time at each token's place, feed-forward; pre-norm.

    Two frames are enough for this project. The earlier frame never sees the later one, so that its stream can be
    computed once and kept (`first`), while the later one attends to it (`second`).
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm_spatial = nn.LayerNorm(width)
        self.spatial = Attention(width, heads, dropout)
        self.norm_temporal = nn.LayerNorm(width)
        self.temporal = Attention(width, heads, dropout)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = FeedForward(width, dropout)

    def _within_frame(self, x: Tensor) -> Tensor:
        h = self.norm_spatial(x)
        return x + self.spatial(h, h)

    def _over_time(self, x: Tensor, past: Tensor | None) -> Tensor:
        """Each token attends to itself and to the token at its place in `past` (B, n, C), where there is one."""
        B, n, C = x.shape
        h = self.norm_temporal(x)
        frames = [h] if past is None else [past, h]
        memory = torch.stack(frames, dim=2).view(B * n, len(frames), C)
        return x + self.temporal(h.reshape(B * n, 1, C), memory).view(B, n, C)

    def first(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Block for the earlier frame: (B, n, C) → (its output, what the later frame attends to), both (B, n, C)."""
        x = self._within_frame(x)
        past = self.norm_temporal(x)
        x = self._over_time(x, None)
        return x + self.mlp(self.norm_mlp(x)), past

    def second(self, x: Tensor, past: Tensor) -> Tensor:
        """Block for the later frame (B, n, C), given `past` of the earlier one → (B, n, C)."""
        x = self._over_time(self._within_frame(x), past)
        return x + self.mlp(self.norm_mlp(x))


class SpatioTemporalStack(nn.Module):
    """Blocks over two frames: the earlier one first and alone, the later one with what the earlier one left."""

    def __init__(self, width: int, heads: int, depth: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([SpatioTemporalBlock(width, heads, dropout) for _ in range(depth)])

    def first(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Earlier frame (B, n, C) → its output (B, n, C), and what each block keeps of it (B, depth, n, C)."""
        pasts = []
        for block in cast("Iterable[SpatioTemporalBlock]", self.blocks):
            x, past = block.first(x)
            pasts.append(past)
        return x, torch.stack(pasts, dim=1)

    def second(self, x: Tensor, pasts: Tensor) -> Tensor:
        """Later frame (B, n, C), given what `first` kept (B, depth, n, C) → (B, n, C)."""
        blocks = cast("Iterable[SpatioTemporalBlock]", self.blocks)
        for block, past in zip(blocks, pasts.unbind(1), strict=True):
            x = block.second(x, past)
        return x


def at_least_float32(x: Tensor) -> Tensor:
    """x, in float32 where it is in half precision; double stays, as exported graphs are verified against it."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class RMSNorm(nn.Module):
    """x / rms(x) · weight, computed in float32 whatever the input: half precision overflows in the square."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) → (..., C)."""
        h = at_least_float32(x)
        h = h * torch.rsqrt(h.square().mean(-1, keepdim=True) + self.eps)
        return h.to(x.dtype) * self.weight


def logistic(x: Tensor, largest: float = 8.0) -> Tensor:
    """1 / (1 + e^−x), spelled out, with x bent softly into ±`largest`: x → x / √(1 + (x/largest)²).

    Two things keep the gradient true in float32 where the result is near 0 or 1. Runtimes approximate their Sigmoid and
    Tanh to an absolute error, next to which such a gradient is small; an exponential, a root and a quotient are exact
    to their last digits everywhere. And the relative error of e^−x is the absolute error of x, which grows with x: bent
    to 8 (a result of .9997) it stays near 1e-6, and guidance never loses its slope altogether.
    """
    bent = x / (1 + (x / largest).square()).sqrt()
    return torch.reciprocal(1 + torch.exp(-bent))


def time_embedding(tau: Tensor, width: int) -> Tensor:
    """Sinusoidal embedding of diffusion steps: (B,) → (B, width), frequencies 1 … 1e-4."""
    half = width // 2
    rates = torch.exp(torch.arange(half, device=tau.device, dtype=torch.float32) * (-math.log(10_000.0) / half))
    angles = at_least_float32(tau).unsqueeze(-1) * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimeToken(nn.Module):
    """One token for the diffusion step τ: (B,) → (B, 1, C)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, tau: Tensor) -> Tensor:
        """(B,) → (B, 1, C)."""
        return self.mlp(time_embedding(tau, self.width)).unsqueeze(1)


def learned_tokens(count: int, width: int) -> nn.Parameter:
    """Learned embeddings (1, count, width), drawn small so that they do not drown the inputs at first."""
    return nn.Parameter(0.02 * torch.randn(1, count, width))
