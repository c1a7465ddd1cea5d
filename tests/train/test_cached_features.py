from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small import load, make_dataset, make_preset

from pvla.core.config import Preset
from pvla.errors import InputError
from pvla.train.encoders import Encoders, load_encoders
from pvla.train.features import blank_features, cache_features


@pytest.fixture
def preset(tmp_path: Path) -> Preset:
    return load(make_preset(tmp_path))


@pytest.fixture
def encoders(preset: Preset) -> Encoders:
    return load_encoders(preset)


def test_features_are_those_of_the_encoder_and_computed_once(tmp_path: Path, encoders: Encoders) -> None:
    store, seen = make_dataset(tmp_path / "data", 3, 1), []
    features = cache_features(store, encoders, lambda done, total: seen.append((done, total)))
    assert seen == [(i + 1, 4) for i in range(4)]
    for episode in store:
        images = {c.name: torch.from_numpy(episode.images(c.name)) for c in encoders.vision.config.cameras}
        with torch.no_grad():
            wanted = encoders.vision(images).numpy()
        np.testing.assert_allclose(features.patches(episode.id), wanted, atol=5e-3)
    with torch.no_grad():
        wanted = encoders.text(encoders.tokens(["left please"]))[0].numpy()
    np.testing.assert_allclose(features.instructions["left please"], wanted, atol=5e-3)
    assert len(features.instructions) == 4
    cache_features(store, encoders, lambda *_: pytest.fail("computed twice"))


def test_a_camera_of_another_size_is_refused(tmp_path: Path, preset: Preset, encoders: Encoders) -> None:
    head, wrist = preset.vision.cameras
    vision = preset.vision.model_copy(update={"cameras": (head.model_copy(update={"size": 64}), wrist)})
    encoders.vision.config = vision
    with pytest.raises(InputError, match=r"'head' at 64x64 px.*head 32x32"):
        cache_features(make_dataset(tmp_path / "data", 1, 0), replace(encoders))


def test_a_blank_picture_has_features_too(preset: Preset, encoders: Encoders) -> None:
    blank = blank_features(encoders.vision)
    assert blank.shape == (preset.patches, preset.vision.width)
    assert not blank.requires_grad
