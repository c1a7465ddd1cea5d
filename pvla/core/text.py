"""Frozen text encoders: token ids → token states (B, L, Dt).

`TinyText` is ours (scripts/pretrain_encoders.py trains it on the simulator's instructions); `ClipText` is the paper's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pvla.core.config import TextConfig
from pvla.core.layers import SpatialBlock, learned_tokens


class TextEncoder(nn.Module):
    """Token ids (B, L) int64, padded with 0 → states (B, L, Dt)."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config


class TinyText(TextEncoder):
    """Embedding, a few transformer blocks, final norm.

    Padding is a token like any other: the sequences are short and of one length, and a mask would cost the exported
    graph more than it brings.
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.position = learned_tokens(config.tokens, config.width)
        self.blocks = nn.Sequential(*[SpatialBlock(config.width, config.heads, 0.1) for _ in range(config.depth)])
        self.norm = nn.LayerNorm(config.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L) int64 → (B, L, Dt)."""
        return self.norm(self.blocks(self.embedding(tokens) + self.position))


class ClipText(TextEncoder):
    """CLIP's text transformer, last hidden states of all 77 tokens."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__(config)
        from transformers import CLIPTextModel

        self.model = CLIPTextModel.from_pretrained(config.source)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L) int64 → (B, L, Dt)."""
        states: Tensor = self.model(input_ids=tokens).last_hidden_state
        return states


def build_text(config: TextConfig) -> TextEncoder:
    """The encoder that a preset names, without our trained weights (`TinyText`) or with its own (`ClipText`)."""
    return TinyText(config) if config.kind == "tiny_text" else ClipText(config)


def mean_state(states: Tensor) -> Tensor:
    """Mean over the tokens: (B, L, Dt) → (B, Dt)."""
    return torch.mean(states, dim=1)
