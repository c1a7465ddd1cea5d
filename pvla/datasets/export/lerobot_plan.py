"""What a LeRobot export will consist of: a function of the store alone, so that a resumed export makes the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pvla.datasets.convert.lerobot.side import TIME
from pvla.datasets.export.lerobot_codec import codec_of
from pvla.datasets.index import SHARDS, file_sha256
from pvla.datasets.schema import DatasetInfo, EpisodeEntry
from pvla.datasets.store import Store
from pvla.errors import InputError

VERSION: Final = "v3.0"
STATE: Final = "observation.state"
ACTION: Final = "action"
CHUNK: Final = 1000  # files a folder, as LeRobot's own writer has it
_DATA_BYTES: Final = 100 << 20
_VIDEO_PIXELS: Final = 6_000_000_000  # at crf 30 about 200 MB, LeRobot's own limit
_FRAMES: Final = 20_000  # what a kill can cost to encode again
_SCALARS: Final = {"timestamp": "float32", **dict.fromkeys(("frame_index", "episode_index", "index"), "int64")}
_RESERVED: Final = (STATE, ACTION, TIME, *_SCALARS, "task_index", "task", "language_persistent", "language_events")


@dataclass(frozen=True)
class Group:
    """Consecutive episodes that share their files: `first` to `stop`, whose first frame is number `start` of all."""

    number: int
    first: int
    stop: int
    start: int

    @property
    def data(self) -> str:
        """Their Parquet file, below the dataset's folder."""
        return f"data/{self._name}.parquet"

    def video(self, key: str) -> str:
        """Their video of a camera's feature."""
        return f"videos/{key}/{self._name}.mp4"

    @property
    def place(self) -> dict[str, int]:
        """How LeRobot addresses their files."""
        return {"chunk_index": self.number // CHUNK, "file_index": self.number % CHUNK}

    @property
    def _name(self) -> str:
        return f"chunk-{self.number // CHUNK:03d}/file-{self.number % CHUNK:03d}"


@dataclass(frozen=True)
class Plan:
    """A LeRobot export.

    Attributes:
        store: the store's folder.
        info: what the store says about itself.
        entries: its episodes; their number in the export is their place here.
        fingerprint: of the store's content.
    """

    store: Path
    info: DatasetInfo
    entries: list[EpisodeEntry]
    fingerprint: str

    @classmethod
    def of(cls, store: Store) -> Plan:
        """The plan for a store.

        Raises:
            InputError: the store has no episode, or is not whole.
        """
        info = store.info
        if info.unfinished:
            raise InputError(f"{store.path} is not whole yet ({', '.join(info.unfinished)}): end that with --resume.")
        if not info.episodes:
            raise InputError(f"{store.path} has no episode: there is nothing to export.")
        return cls(store.path, info.without_index(), info.episodes, _fingerprint(store))

    @cached_property
    def groups(self) -> list[Group]:
        """The episodes, as they share files."""
        groups: list[Group] = []
        first = start = frames = 0
        for number, entry in enumerate(self.entries):
            if frames and frames + entry.length > self._frames_a_file:
                groups.append(Group(len(groups), first, number, start))
                first, start, frames = number, start + frames, 0
            frames += entry.length
        return [*groups, Group(len(groups), first, len(self.entries), start)]

    @property
    def _frames_a_file(self) -> int:
        info = self.info
        row = 4 * (info.action_dim + info.state_dim + sum(info.extras.values())) + 44
        pixels = max((camera.height * camera.width for camera in info.cameras), default=1)
        return max(1, min(_FRAMES, _DATA_BYTES // row, _VIDEO_PIXELS // pixels))

    @cached_property
    def tasks(self) -> dict[str, int]:
        """Numbers of the instructions, in the order in which they first appear."""
        return {text: number for number, text in enumerate(dict.fromkeys(entry.instruction for entry in self.entries))}

    @property
    def frames(self) -> int:
        """Frames in all."""
        return sum(entry.length for entry in self.entries)

    @property
    def cameras(self) -> dict[str, str]:
        """Features by camera."""
        return {camera.name: f"observation.images.{camera.name}" for camera in self.info.cameras}

    @property
    def extras(self) -> dict[str, str]:
        """Features by extra: of the same name, unless LeRobot uses that for something else."""
        taken = (*_RESERVED, *self.cameras.values())
        return {
            name: f"extras.{name}" if name in taken or name.startswith("extras.") else name for name in self.info.extras
        }

    @cached_property
    def features(self) -> dict[str, dict[str, Any]]:
        """The features of `meta/info.json`, in the order of the columns."""
        info = self.info
        features = {ACTION: _vector("float32", info.action_space.names)}
        if info.state_dim:
            features[STATE] = _vector("float32", info.state_names)
        features |= {key: _video(info, name) for name, key in self.cameras.items()}
        for name, key in self.extras.items():
            features[key] = _vector("float32", [f"{name}_{number}" for number in range(info.extras[name])])
        features[TIME] = _scalar("float64")
        features |= {key: _scalar(dtype) for key, dtype in _SCALARS.items()}
        features["task_index"] = _scalar("int64")
        return features

    @property
    def columns(self) -> list[str]:
        """The features that are columns of Parquet."""
        return [key for key, feature in self.features.items() if feature["dtype"] != "video"]


def _fingerprint(store: Store) -> str:
    """sha256 over what the store says about itself and the sha256 of its shards."""
    shards = {
        name: entry.sha256 or file_sha256(store.path / SHARDS / name) for name, entry in store.info.shards.items()
    }
    told = [VERSION, store.info.model_dump(exclude={"statistics", "shards"}), shards]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def rate(fps: float) -> float | int:
    """LeRobot's rates are whole numbers where they can be."""
    return int(fps) if fps == int(fps) else fps


def _vector(dtype: str, names: Iterable[str]) -> dict[str, Any]:
    names = list(names)
    return {"dtype": dtype, "shape": [len(names)], "names": names}


def _scalar(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [1], "names": None}


def _video(info: DatasetInfo, name: str) -> dict[str, Any]:
    camera = info.camera(name)
    codec = codec_of(camera)
    return {
        "dtype": "video",
        "shape": [camera.height, camera.width, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": camera.height,
            "video.width": camera.width,
            "video.codec": codec.name,
            "video.pix_fmt": codec.pixels,
            "video.is_depth_map": False,
            "video.fps": rate(info.fps),
            "video.channels": 3,
            "has_audio": False,
        },
    }
