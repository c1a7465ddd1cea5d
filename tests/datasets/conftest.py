"""Small datasets with known content."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from pvla.datasets.schema import ActionSpace, Camera, DatasetInfo, Task
from pvla.datasets.store import Store
from pvla.datasets.writer import StoreWriter

MakeStore = Callable[..., Store]


@pytest.fixture
def info() -> DatasetInfo:
    names = ["j1", "j2", "gripper"]
    return DatasetInfo(
        name="test",
        fps=10,
        cameras=[Camera(name="head", height=32, width=48), Camera(name="wrist", height=16, width=16)],
        action_space=ActionSpace(
            kind="joint_position", names=names, units=["rad", "rad", "1"], frame="base", rate_hz=10
        ),
        state_names=names,
        tasks=[Task(name="stack_bowls", instructions=["stack the bowls"])],
        extras={"tcp": 3, "progress": 1},
        source="made for the tests",
        license="CC0-1.0",
    )


def record_episode(writer: StoreWriter, id: str, frames: int = 5, success: bool | None = True) -> None:
    """An episode whose content depends on its id only."""
    rng = np.random.default_rng(sum(ord(letter) << (5 * n) for n, letter in enumerate(id)))
    with writer.episode(id, "stack the bowls", "stack_bowls", source_id=f"source/{id}") as episode:
        for t in range(frames):
            images = {
                "head": rng.integers(0, 256, (32, 48, 3), np.uint8),
                "wrist": rng.integers(0, 256, (16, 16, 3), np.uint8),
            }
            episode.add(images, rng.normal(size=3), rng.normal(size=3), t / 10, {"tcp": rng.normal(size=3)})
        episode.finish(success)


@pytest.fixture
def record() -> Callable[..., None]:
    return record_episode


@pytest.fixture
def make_store(tmp_path: Path, info: DatasetInfo) -> MakeStore:
    def make(ids: Iterable[str] = ("a", "b", "c"), name: str = "data", per_shard: int = 2) -> Store:
        with StoreWriter(tmp_path / name, info, episodes_per_shard=per_shard) as writer:
            for id in ids:
                record_episode(writer, id)
        return Store.open(tmp_path / name)

    return make
