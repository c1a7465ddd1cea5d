"""Frozen vision encoders: camera pictures (u8) → patch features F (B, P, D), preprocessing inside.

`TinyViT` is ours, small enough for two CPU cores; scripts/pretrain_encoders.py trains it on the simulator's frames.
`Dinov2` is the paper's, loaded by name or from a local folder.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvla.core.config import VisionConfig
from pvla.core.layers import SpatialBlock, learned_tokens


class VisionEncoder(nn.Module, ABC):
    """Pictures of every camera → patches of all views, one after the other."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def encode(self, camera: str, image: Tensor) -> Tensor:
        """Patches of one camera: image u8 (B, h, w, 3) → (B, patches, D)."""

    def forward(self, images: Mapping[str, Tensor]) -> Tensor:
        """Pictures by camera name, each u8 (B, h, w, 3) → F (B, P, D), views in the configured order."""
        return torch.cat([self.encode(c.name, images[c.name]) for c in self.config.cameras], dim=1)


class TinyEye(nn.Module):
    """A small hierarchical ViT for one camera.

    Three patchifying convolutions (no overlap: they are plain matrix products, which CPUs do well), transformer blocks,
    and between two stages each 2 × 2 square of tokens is merged into one.
    """

    def __init__(self, size: int, patch: int, stages: tuple[tuple[int, int], ...], width: int, heads_width: int = 32):
        super().__init__()
        first = stages[0][0]
        narrow = [first // 4, first // 2]
        self.stem = nn.Sequential(
            nn.Conv2d(3, narrow[0], patch // 4, patch // 4),
            nn.GELU(),
            nn.Conv2d(narrow[0], narrow[1], 2, 2),
            nn.GELU(),
            nn.Conv2d(narrow[1], first, 2, 2),
        )
        side = size // patch
        self.position = learned_tokens(side * side, first)
        self.stages = nn.ModuleList()
        self.merges = nn.ModuleList()
        for i, (channels, depth) in enumerate(stages):
            self.stages.append(nn.Sequential(*[SpatialBlock(channels, channels // heads_width) for _ in range(depth)]))
            if i + 1 < len(stages):
                self.merges.append(nn.Conv2d(channels, stages[i + 1][0], 2, 2))
        self.leave = nn.Linear(stages[-1][0], width)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        """Image u8 (B, h, w, 3) → patches (B, n, D)."""
        x = self.stem(image.permute(0, 3, 1, 2).float() / 127.5 - 1.0)  # (B, C, side, side)
        side = x.shape[-1]
        x = x.flatten(2).transpose(1, 2) + self.position
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i < len(self.merges):
                grid = x.transpose(1, 2).reshape(x.shape[0], -1, side, side)
                side //= 2
                x = self.merges[i](grid).flatten(2).transpose(1, 2)
        return self.norm(self.leave(x))


class TinyViT(VisionEncoder):
    """One `TinyEye` a camera."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__(config)
        self.eyes = nn.ModuleDict(
            {
                c.name: TinyEye(c.size, config.stem_patch[c.name], config.stages[c.name], config.width)
                for c in config.cameras
            }
        )

    def encode(self, camera: str, image: Tensor) -> Tensor:
        """See `VisionEncoder.encode`."""
        features: Tensor = self.eyes[camera](image)
        return features


class Dinov2(VisionEncoder):
    """DINOv2 patch tokens after the final norm, the same network for every camera.

    The position embedding is interpolated to the 16 × 16 grid once, at loading: a cubic resize inside the graph is what
    engines on the robot's computer refuse.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: VisionConfig) -> None:
        super().__init__(config)
        from transformers import AutoModel

        self.model = AutoModel.from_pretrained(config.source)
        self.registers = int(getattr(self.model.config, "num_register_tokens", 0))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self._bake_position_embedding(int(config.patches**0.5))

    def _bake_position_embedding(self, side: int) -> None:
        embeddings = self.model.embeddings
        table = embeddings.position_embeddings.data  # (1, 1 + n, D), the class token first
        head, grid = table[:, :1], table[:, 1:]
        n = int(grid.shape[1] ** 0.5)
        grid = grid.reshape(1, n, n, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(side, side), mode="bicubic", antialias=bool(self.registers))
        table = torch.cat([head, grid.flatten(2).transpose(1, 2)], dim=1)
        embeddings.position_embeddings = nn.Parameter(table)
        embeddings.interpolate_pos_encoding = lambda *_: embeddings.position_embeddings

    def encode(self, camera: str, image: Tensor) -> Tensor:
        """See `VisionEncoder.encode`; pictures must already be square and of the configured size."""
        x = (image.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
        tokens: Tensor = self.model(x).last_hidden_state
        skip = 1 + self.registers
        return tokens.split([skip, tokens.shape[1] - skip], dim=1)[1]


def build_vision(config: VisionConfig) -> VisionEncoder:
    """The encoder that a preset names, without our trained weights (`TinyViT`) or with its own (`Dinov2`)."""
    return TinyViT(config) if config.kind == "tiny_vit" else Dinov2(config)
