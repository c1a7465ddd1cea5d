"""Llama-style causal transformer whose prefix is computed once and shared by many continuations.

A denoiser reads [what it knows][what it denoises]. Attention is causal, so the first part never depends on the second:
its keys and values are kept (`prefill`) and each noise sample or denoising step only pays for its own few tokens
(`extend`). Both together equal one pass over the whole sequence.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvla.core.layers import RMSNorm


def rotary_tables(positions: int, width: int, base: float = 10_000.0) -> Tensor:
    """cos and sin of the rotary embedding for `positions` places and heads of `width`: (2, positions, width)."""
    rates = base ** (-torch.arange(0, width, 2, dtype=torch.float32) / width)
    angles = torch.outer(torch.arange(positions, dtype=torch.float32), rates)
    angles = torch.cat([angles, angles], dim=-1)
    return torch.stack([angles.cos(), angles.sin()])


def rotate(x: Tensor, tables: Tensor) -> Tensor:
    """Rotary embedding (Su et al., 2021) of x (..., n, d) with tables (2, n, d)."""
    half = x.shape[-1] // 2
    a, b = x.split(half, dim=-1)
    return x * tables[0] + torch.cat([-b, a], dim=-1) * tables[1]


class CausalBlock(nn.Module):
    """RMSNorm, rotary causal attention, RMSNorm, SwiGLU; no biases."""

    def __init__(self, width: int, heads: int, mlp: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.norm_mlp = RMSNorm(width)
        self.gate_up = nn.Linear(width, 2 * mlp, bias=False)
        self.down = nn.Linear(mlp, width, bias=False)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, tables: Tensor, mask: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """Extend a sequence by x.

        Args:
            x: new tokens (B, n, C).
            tables: rotary tables of their places (2, n, C / heads).
            mask: additive attention mask (n, m + n), 0 where a token may look and −inf elsewhere.
            past: keys and values of the m earlier tokens (B, 2, heads, m, C / heads), or None.

        Returns:
            The new tokens (B, n, C), and their own keys and values (B, 2, heads, n, C / heads).
        """
        B, n, C = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(B, n, 3, self.heads, C // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, n, d)
        own = torch.stack([rotate(k, tables), v], dim=1)
        keys, values = (own if past is None else torch.cat([past, own], dim=3)).unbind(1)
        y = F.scaled_dot_product_attention(rotate(q, tables), keys, values, attn_mask=mask)
        x = x + self.drop(self.out(y.transpose(1, 2).reshape(B, n, C)))
        gate, up = self.gate_up(self.norm_mlp(x)).chunk(2, dim=-1)
        return x + self.drop(self.down(F.silu(gate) * up)), own


class CausalTransformer(nn.Module):
    """A stack of causal blocks with a final norm; sequences of at most `positions` tokens."""

    rotary: Tensor

    def __init__(self, width: int, depth: int, heads: int, mlp: int, positions: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([CausalBlock(width, heads, mlp, dropout) for _ in range(depth)])
        self.norm = RMSNorm(width)
        self.register_buffer("rotary", rotary_tables(positions, width // heads), persistent=False)

    def _run(self, x: Tensor, cache: Tensor | None) -> tuple[Tensor, Tensor]:
        n = x.shape[1]
        m = 0 if cache is None else cache.shape[4]
        tables = self.rotary[:, m : m + n]
        mask = torch.full((n, m + n), float("-inf"), device=x.device, dtype=x.dtype).triu(m + 1)
        kept = []
        for i, block in enumerate(self.blocks):
            x, own = block(x, tables, mask, None if cache is None else cache[:, i])
            kept.append(own)
        return self.norm(x), torch.stack(kept, dim=1)

    def prefill(self, prefix: Tensor) -> Tensor:
        """Keys and values of a prefix (B, m, C) → (B, depth, 2, heads, m, C / heads)."""
        return self._run(prefix, None)[1]

    def extend(self, x: Tensor, cache: Tensor) -> Tensor:
        """Outputs (B, n, C) of the tokens x (B, n, C) that follow a prefix with this `cache` (see `prefill`)."""
        return self._run(x, cache)[0]

    def forward(self, x: Tensor) -> Tensor:
        """The whole sequence at once: (B, n, C) → (B, n, C)."""
        return self._run(x, None)[0]
