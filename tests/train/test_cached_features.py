from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from noise_store import noise_store
from small import load, make_dataset, make_preset

from pvla.core.config import Preset
from pvla.datasets.sampling.pictures import picture
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


def test_features_of_foreign_cameras_are_those_of_their_scaled_pictures(tmp_path: Path, encoders: Encoders) -> None:
    store = noise_store(tmp_path / "data", {"cam_high": (40, 64)})
    patches = cache_features(store, encoders).patches("e0")
    head = np.stack([picture(store[0].jpeg("cam_high", t), 32, "crop") for t in range(3)])
    images = {"head": torch.from_numpy(head), "wrist": torch.zeros(3, 16, 16, 3, dtype=torch.uint8)}
    with torch.no_grad():
        np.testing.assert_allclose(patches, encoders.vision(images).numpy(), atol=5e-3)
    assert np.ptp(patches[:, : patches.shape[1] // 2], axis=0).max() > 0.01  # the pictures differ, and so do these


def test_a_dataset_without_a_camera_for_the_encoder_is_refused(tmp_path: Path, encoders: Encoders) -> None:
    with pytest.raises(InputError, match="has no camera"):
        cache_features(noise_store(tmp_path / "data", {}), encoders)


def test_a_blank_picture_has_features_too(preset: Preset, encoders: Encoders) -> None:
    blank = blank_features(encoders.vision)
    assert blank.shape == (preset.patches, preset.vision.width)
    assert not blank.requires_grad
