"""Small datasets of pictures that say which episode, camera and frame they are of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from pvla.datasets.schema import ActionSpace, Camera, DatasetInfo
from pvla.datasets.store import Store
from pvla.datasets.writer import StoreWriter

MakeStore = Callable[..., Store]


def scene(height: int, width: int, shade: int, t: int) -> np.ndarray:
    """A gradient with a block that moves: small as JPEG, and different in every frame."""
    y, x = np.mgrid[:height, :width]
    rgb = np.stack([x * 255 // width, y * 255 // height, np.full_like(x, shade)], axis=-1).astype(np.uint8)
    rgb[height // 3 : height // 2, (3 * t) % (width - 8) :][:, :8] = (250, 240, 20)
    return rgb


def describe(name: str, cameras: Sequence[str], width: int, fps: float) -> DatasetInfo:
    names = [f"j{i}" for i in range(width)]
    return DatasetInfo(
        name=name,
        fps=fps,
        cameras=[Camera(name=camera, height=48, width=64) for camera in cameras],
        action_space=ActionSpace(
            kind="joint_position", names=names, units=["rad"] * width, frame="base", gripper="none", rate_hz=fps
        ),
        state_names=names,
    )


@pytest.fixture
def make(tmp_path: Path) -> MakeStore:
    """A store whose actions and states say where they are from: number of the episode, frame."""

    def build(
        name: str = "lab",
        lengths: Sequence[int] = (12, 9, 15, 7),
        *,
        cameras: Sequence[str] = ("head", "wrist"),
        width: int = 3,
        fps: float = 10.0,
        success: bool | None = True,
        uneven: bool = False,
    ) -> Store:
        rng = np.random.default_rng(3)
        with StoreWriter(tmp_path / name, describe(name, cameras, width, fps), episodes_per_shard=2) as writer:
            for number, length in enumerate(lengths):
                steps = rng.uniform(0.5, 3, length) if uneven else np.ones(length)
                times = (np.cumsum(steps) - steps[0]) / fps
                with writer.episode(f"e{number:03d}", f"do the thing {number}", "thing") as episode:
                    for t in range(length):
                        images = {c: scene(48, 64, 40 * number + 20 * i, t) for i, c in enumerate(cameras)}
                        row = np.full(width, number + t / 100)
                        episode.add(images, row, row, float(times[t]))
                    episode.finish(success)
        return Store.open(tmp_path / name)

    return build
