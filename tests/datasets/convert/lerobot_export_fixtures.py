"""Stores to export, whose episodes have all that an episode can have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pvla.datasets import jpeg
from pvla.datasets.schema import ActionSpace, Camera, DatasetInfo, EpisodeEntry, ImageCoding, Task
from pvla.datasets.shard import EpisodeData
from pvla.datasets.store import Store
from pvla.datasets.writer import StoreWriter

SIZES = {"head": (48, 64), "wrist": (33, 31)}  # AV1, and H.264 with an odd side
LENGTHS = (7, 4, 12)


def picture(camera: str, seed: int, t: int) -> np.ndarray:
    """u8 (h, w, 3): a gradient with a block that moves."""
    height, width = SIZES[camera]
    y, x = np.mgrid[:height, :width]
    image = np.stack([2 * x + 10 * (seed % 9), 2 * y, x + y], axis=-1).astype(np.uint8)
    left = 7 * t % (width - 12)
    image[8:24, left : left + 12] = (250, 40, 40)
    return image


def decibels(one: np.ndarray, other: np.ndarray) -> float:
    """PSNR of two pictures of values 0..255."""
    return float(10 * np.log10(255**2 / np.square(np.subtract(one, other, dtype=np.float64)).mean()))


def describe(fps: float = 10) -> DatasetInfo:
    names = ["j1", "j2", "gripper"]
    return DatasetInfo(
        name="test",
        fps=fps,
        cameras=[Camera(name=name, height=h, width=w) for name, (h, w) in SIZES.items()],
        action_space=ActionSpace(
            kind="joint_position", names=names, units=["rad", "rad", "1"], frame="base", rate_hz=fps
        ),
        state_names=names,
        tasks=[Task(name="stack", instructions=["stack the bowls", "put one bowl on the other"])],
        extras={"tcp": 3, "progress": 1, "index": 2},
        source="made for the tests",
        license="CC0-1.0",
        images=ImageCoding(quality=90),
    )


def make_episode(info: DatasetInfo, number: int, length: int, **entry: Any) -> EpisodeData:
    rng = np.random.default_rng(number)
    told = {
        "instruction": "stack the bowls",
        "task": "stack",
        "success": number % 2 == 0,
        "source_id": f"from/{number}",
    }
    columns: dict[str, Any] = {
        "action": rng.normal(size=(length, 3)).astype(np.float32),
        "state": rng.normal(size=(length, 3)).astype(np.float32),
        "timestamp": np.cumsum(0.1 + 0.01 * rng.random(length)),
        "extras/tcp": rng.normal(size=(length, 3)).astype(np.float32),
    }
    columns["timestamp"] -= columns["timestamp"][0]
    columns["extras/tcp"][0, 0] = np.nan
    columns["action"][0, 0] = -0.0
    if number % 2:
        columns["extras/progress"] = np.linspace(0, 1, length, dtype=np.float32)[:, None]
    images = {camera: [jpeg.encode(picture(camera, number, t), info.images) for t in range(length)] for camera in SIZES}
    told.update(entry)
    described = EpisodeEntry(id=told.pop("id", f"ep-{number}"), shard="x", length=length, **told)
    return EpisodeData(described, images, columns, f"note {number}")


def make_store(path: Path, info: DatasetInfo | None = None, episodes: list[EpisodeData] | None = None) -> Store:
    info = info or describe()
    made = [make_episode(info, number, length) for number, length in enumerate(LENGTHS)]
    with StoreWriter(path, info, episodes_per_shard=2) as writer:
        for episode in made if episodes is None else episodes:
            writer.add(episode)
    return Store.open(path)
