from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pvla.core.presets import load_preset
from pvla.datasets.features import unfinished_features
from pvla.datasets.pool import Part
from pvla.datasets.schema import ActionSpace, Camera, DatasetInfo
from pvla.datasets.store import Store
from pvla.datasets.validate import validate
from pvla.datasets.writer import StoreWriter
from pvla.errors import InputError
from pvla.train.encoders import load_encoders
from pvla.train.feature_job import compute_features
from pvla.train.features import cache_features

PRESET = load_preset("tiny")
SIZES = {camera.name: camera.size for camera in PRESET.vision.cameras}


def make(path: Path, sizes: dict[str, int] = SIZES) -> Path:
    names = ["j1", "gripper"]
    info = DatasetInfo(
        name="features",
        fps=10,
        cameras=[Camera(name=name, height=size, width=size) for name, size in sizes.items()],
        action_space=ActionSpace(kind="joint_position", names=names, units=["rad", "1"], frame="base", rate_hz=10),
        state_names=names,
    )
    rng = np.random.default_rng(0)
    with StoreWriter(path, info) as writer:
        for number in range(10):
            with writer.episode(f"e{number}", f"task {number % 2}") as episode:
                for t in range(3):
                    images = {name: rng.integers(0, 256, (size, size, 3), np.uint8) for name, size in sizes.items()}
                    episode.add(images, [t, 0], [t, 0], t / 10)
                episode.finish(success=True)
    return path


def errors(path: Path) -> list[str]:
    return [str(problem) for problem in validate(path) if problem.level == "error"]


@pytest.mark.slow
def test_processes_parts_and_training_compute_the_same(tmp_path: Path) -> None:
    by_parts, by_training = make(tmp_path / "parts"), make(tmp_path / "training")
    compute_features(by_parts, PRESET, workers=0, part=Part(2, 2))
    assert len(unfinished_features(by_parts)) == 1
    assert any("did not come to the end" in error for error in errors(by_parts))
    features = compute_features(by_parts, PRESET, workers=2, part=Part(1, 2))
    assert errors(by_parts) == []
    with Store.open(by_training) as store:
        expected = cache_features(store, load_encoders(PRESET))
    assert features.ids == expected.ids
    for id in features.ids:
        assert np.allclose(features.patches(id), expected.patches(id), atol=2e-2)
    assert list(features.instructions) == list(expected.instructions)


def test_what_is_there_is_not_computed_again(tmp_path: Path) -> None:
    path = make(tmp_path / "data")
    seen: list[tuple[int, int]] = []
    compute_features(path, PRESET, workers=0)
    compute_features(path, PRESET, workers=0, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(10, 10)]


def test_a_dataset_without_cameras_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = make(tmp_path / "data", {})
    with pytest.raises(InputError, match="has no camera scene or wrist: it has no cameras"):
        compute_features(path, PRESET, workers=0)
    assert unfinished_features(path) == []


def test_cameras_of_other_names_and_sizes_do_as_well(tmp_path: Path) -> None:
    path = make(tmp_path / "data", {"image_0": 40, "hand": 64})
    made = compute_features(path, PRESET, workers=0)
    assert len(made.ids) == 10
    assert made.patches("e0").shape == (3, PRESET.patches, PRESET.vision.width)
