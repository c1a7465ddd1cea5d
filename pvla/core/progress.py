"""Progress estimator P(l, o_0, o_t) in [0, 1] (Eq. 1, App. A-A)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pvla.core.config import Preset
from pvla.core.layers import Attention, FeedForward, SpatioTemporalStack, learned_tokens, logistic


class ProgressContext(NamedTuple):
    """What P keeps for a whole episode: nothing in it depends on the current frame.

    text (B, L, C); start (B, P, C) after the backbone; past (B, depth, P, C), the start stream as each block's temporal
    attention sees it.
    """

    text: Tensor
    start: Tensor
    past: Tensor


class CrossUpdate(nn.Module):
    """Residual cross-attention with its own norms and feed-forward: x (B, n, C) reads memory (B, m, C)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.norm_memory = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = FeedForward(width, dropout)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """(B, n, C), (B, m, C) → (B, n, C)."""
        x = x + self.attention(self.norm(x), self.norm_memory(memory))
        return x + self.mlp(self.norm_mlp(x))


class ProgressEstimator(nn.Module):
    """Projected tokens with roles → spatio-temporal backbone over (start, current) → three cross-attentions → MLP.

    The backbone is causal in time, so the start stream is independent of the current frame; the text stream is
    projected only. Both are computed once an episode (`start_context`).
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        c = preset.progress
        self.project_patches = nn.Linear(preset.vision.width, c.width)
        self.project_text = nn.Linear(preset.text.width, c.width)
        self.position = learned_tokens(preset.patches, c.width)
        self.role_start = learned_tokens(1, c.width)
        self.role_current = learned_tokens(1, c.width)
        self.role_text = learned_tokens(1, c.width)
        self.backbone = SpatioTemporalStack(c.width, c.heads, c.depth, c.dropout)
        self.text_from_current = CrossUpdate(c.width, c.heads, c.dropout)
        self.current_from_start = CrossUpdate(c.width, c.heads, c.dropout)
        self.current_from_text = CrossUpdate(c.width, c.heads, c.dropout)
        self.norm = nn.LayerNorm(3 * c.width)
        self.hidden = nn.Linear(3 * c.width, c.hidden)
        self.drop = nn.Dropout(c.dropout)
        self.score = nn.Linear(c.hidden, 1)

    def start_context(self, text: Tensor, start: Tensor) -> ProgressContext:
        """Everything that the episode fixes: text (B, L, Dt), F_0 (B, P, D) → context."""
        s = self.project_patches(start) + self.position + self.role_start
        s, past = self.backbone.first(s)
        return ProgressContext(self.project_text(text) + self.role_text, s, past)

    def logit(self, context: ProgressContext, current: Tensor) -> Tensor:
        """Progress before the sigmoid for F_t (B, P, D) → (B,)."""
        x = self.project_patches(current) + self.position + self.role_current
        x = self.backbone.second(x, context.past)
        text = self.text_from_current(context.text, x)
        x = self.current_from_start(x, context.start)
        x = self.current_from_text(x, text)
        pooled = torch.cat([text.mean(1), context.start.mean(1), x.mean(1)], dim=-1)
        h = nn.functional.gelu(self.hidden(self.norm(pooled)))
        return self.score(self.drop(h)).squeeze(-1)

    def progress(self, context: ProgressContext, current: Tensor) -> Tensor:
        """p = P(l, o_0, o_t) for F_t (B, P, D) → (B,) in [0, 1]."""
        return logistic(self.logit(context, current))

    def forward(self, text: Tensor, start: Tensor, current: Tensor) -> Tensor:
        """p = P(l, o_0, o_t): text (B, L, Dt), F_0 and F_t (B, P, D) → (B,) in [0, 1]."""
        return self.progress(self.start_context(text, start), current)
