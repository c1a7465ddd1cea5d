"""Parts of width 32 and depth 1, and batches of noise for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pvla.core.batch import Batch
from pvla.core.config import Preset
from pvla.core.presets import load_preset

MakeBatch = Callable[..., Batch]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)  # threads that wait for each other crawl on a busy machine


@pytest.fixture
def preset() -> Preset:
    return load_preset(str(Path(__file__).with_name("width32.toml")))


@pytest.fixture
def make_batch(preset: Preset) -> MakeBatch:
    def make(count: int = 8, seed: int = 0) -> Batch:
        g = torch.Generator().manual_seed(seed)
        p, a, w = preset, preset.actions, preset.world

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(count, *shape, generator=g)

        frames = [normal(p.patches, p.vision.width) for _ in range(3)]
        return Batch(
            text=normal(p.text.tokens, p.text.width),
            start=frames[0],
            now=frames[1],
            later=frames[2],
            state=normal(a.state),
            action=normal(a.horizon, a.width).clamp(-1, 1),
            progress_now=torch.rand(count, generator=g),
            progress_later=torch.rand(count, generator=g),
            task=torch.arange(count) % 3,
            latent=normal(w.latent_tokens, w.latent_dim),
        )

    return make
