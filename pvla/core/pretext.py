"""Pretext tasks that teach the small encoders of preset `tiny` what a scene looks like and what a sentence asks for.

They are only for encoders of our own; DINOv2 and CLIP come trained.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvla.core.config import Preset
from pvla.core.text import TextEncoder
from pvla.core.vision import VisionEncoder

THUMBNAIL = 32
"""Side of the pictures that the autoencoder rebuilds, pixels."""


class ScenePretext(nn.Module):
    """Patches must tell where everything is (supervised by the simulator) and rebuild each view as a thumbnail.

    Positions alone would teach an encoder to forget what no label mentions, the rebuilt pictures keep it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, preset: Preset, encoder: VisionEncoder, targets: int, hidden: int = 384) -> None:
        super().__init__()
        self.encoder = encoder
        self.views = preset.views
        flat = preset.patches * preset.vision.width
        self.where = nn.Sequential(nn.Linear(flat, hidden), nn.GELU(), nn.Linear(hidden, targets))
        self.picture = nn.Linear(flat // preset.views, 3 * THUMBNAIL**2)
        self.register_buffer("mean", torch.zeros(targets))
        self.register_buffer("std", torch.ones(targets))

    def standardise_by(self, targets: Tensor) -> None:
        """Mean and spread of the targets (n, m) of the training data."""
        self.mean.copy_(targets.mean(0))
        self.std.copy_(targets.std(0).clamp_min(1e-3))

    def locate(self, images: Mapping[str, Tensor]) -> Tensor:
        """Predicted targets (B, m) in their own units (metres)."""
        return self.where(self.encoder(images).flatten(1)) * self.std + self.mean

    def forward(self, images: Mapping[str, Tensor], targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and metrics for pictures u8 (B, h, w, 3) by camera and targets (B, m)."""
        seen = {name: distort(image) for name, image in images.items()}
        patches = self.encoder(seen)
        located = self.where(patches.flatten(1))
        error = F.smooth_l1_loss(located, (targets - self.mean) / self.std, beta=0.1)
        rebuilt = F.mse_loss(self.picture(patches.unflatten(1, (self.views, -1)).flatten(2)), thumbnails(images))
        apart = (located * self.std + self.mean - targets).abs().mean()
        return error + rebuilt, {"where": error.detach(), "picture": rebuilt.detach(), "metres": apart.detach()}


def thumbnails(images: Mapping[str, Tensor]) -> Tensor:
    """Pictures by camera u8 (B, h, w, 3) → their thumbnails in [−1, 1], flattened (B, views, 3 · side²)."""
    small = [F.adaptive_avg_pool2d(x.permute(0, 3, 1, 2).float() / 127.5 - 1, THUMBNAIL) for x in images.values()]
    return torch.stack([x.flatten(1) for x in small], dim=1)


def distort(image: Tensor, gain: float = 0.15, shift: float = 12.0, noise: float = 3.0) -> Tensor:
    """Random colour gain and shift a picture, and pixel noise: u8 (B, h, w, 3) → u8."""
    B, device = image.shape[0], image.device
    x = image.float() * (1 + gain * (2 * torch.rand(B, 1, 1, 3, device=device) - 1))
    x = x + shift * (2 * torch.rand(B, 1, 1, 3, device=device) - 1)
    x = x + noise * torch.randn_like(x)
    return x.clamp(0, 255).to(torch.uint8)


class InstructionPretext(nn.Module):
    """The mean token state must tell which task a sentence asks for, however the sentence is garbled."""

    def __init__(self, encoder: TextEncoder, width: int, tasks: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.task = nn.Linear(width, tasks)

    def forward(self, tokens: Tensor, tasks: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy and accuracy for token ids (B, L) and task indices (B,)."""
        logits = self.task(self.encoder(tokens).mean(1))
        loss = F.cross_entropy(logits, tasks, label_smoothing=0.05)
        return loss, {"loss": loss.detach(), "accuracy": (logits.argmax(1) == tasks).float().mean()}
