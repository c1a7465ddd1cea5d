from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pvla.core.config import CameraConfig, Preset, VisionConfig
from pvla.core.pretext import InstructionPretext, ScenePretext, thumbnails
from pvla.core.text import build_text, mean_state
from pvla.core.vision import build_vision


def pictures(preset: Preset, count: int = 2) -> dict[str, torch.Tensor]:
    return {c.name: torch.randint(0, 256, (count, c.size, c.size, 3), dtype=torch.uint8) for c in preset.vision.cameras}


def test_pictures_become_patches_view_by_view(preset: Preset) -> None:
    vision, images = build_vision(preset.vision).eval(), pictures(preset)
    patches = vision(images)
    assert patches.shape == (2, preset.patches, preset.vision.width)
    torch.testing.assert_close(patches[:, :4], vision.encode("head", images["head"]))
    torch.testing.assert_close(patches[:, 4:], vision.encode("wrist", images["wrist"]))
    torch.testing.assert_close(vision({k: v[:1] for k, v in images.items()}), patches[:1], rtol=1e-4, atol=1e-4)


def test_tokens_become_states(preset: Preset) -> None:
    text = build_text(preset.text).eval()
    states = text(torch.randint(0, 96, (3, 6)))
    assert states.shape == (3, 6, 32)
    assert mean_state(states).shape == (3, 32)


def test_the_pretexts_are_learned(preset: Preset) -> None:
    images, where = pictures(preset, 8), torch.randn(8, 5)
    scene = ScenePretext(preset, build_vision(preset.vision), 5, hidden=32)
    scene.standardise_by(where)
    words = InstructionPretext(build_text(preset.text), 32, 3)
    tokens, tasks = torch.randint(0, 96, (8, 6)), torch.arange(8) % 3
    for module, inputs in ((scene, (images, where)), (words, (tokens, tasks))):
        optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
        losses = []
        for _ in range(40):
            loss, _ = module(*inputs)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.8 * losses[0]
    assert scene.locate(images).shape == (8, 5)
    assert thumbnails(images).shape == (8, 2, 3 * 32**2)


@pytest.mark.parametrize("size", [28, 56])
def test_dinov2_with_baked_positions_equals_the_library(tmp_path: Path, size: int) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=56)
    reference = transformers.Dinov2Model(config).eval()
    torch.nn.init.normal_(reference.embeddings.position_embeddings)
    reference.save_pretrained(tmp_path)
    camera = CameraConfig(name="head", size=size)
    vision = VisionConfig(kind="dinov2", cameras=(camera,), patches=(size // 14) ** 2, width=32, source=str(tmp_path))
    image = torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = ((image / 255.0 - mean) / std).permute(0, 3, 1, 2)
    with torch.no_grad():
        ours = build_vision(vision).eval()({"head": image})
        theirs = reference(pixels).last_hidden_state[:, 1:]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
