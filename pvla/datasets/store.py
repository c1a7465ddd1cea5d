"""Reading a dataset: any column, any single frame, without touching the rest."""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from pvla.datasets import index, jpeg
from pvla.datasets.schema import DatasetInfo, EpisodeEntry, Statistics
from pvla.datasets.shard import READ_ERRORS, open_shard, read_notes
from pvla.datasets.statistics import episode_statistics
from pvla.errors import InputError

Floats32 = npt.NDArray[np.float32]
Floats64 = npt.NDArray[np.float64]
Rgb = npt.NDArray[np.uint8]
_MAX_OPEN: Final = 64
_MAX_ITEMS: Final = 4096


class ShardFiles:
    """The open shards of a folder: a few at a time, opened at first use, and again in each process."""

    def __init__(self, folder: Path, opener: Callable[[Path], h5py.File] = open_shard) -> None:
        self.folder = folder
        self._opener = opener
        self._forget()

    def file(self, shard: str) -> h5py.File:
        """The open HDF5 file of that name.

        Raises:
            InputError: the shard is missing or damaged.
        """
        if self._process != os.getpid():  # HDF5 handles do not survive a fork
            self._forget()
        if shard not in self._open:
            self._open[shard] = self._opener(self.folder / shard)
        self._open.move_to_end(shard)
        if len(self._open) > _MAX_OPEN:
            self._items.clear()
            self._open.popitem(last=False)[1].close()
        return self._open[shard]

    def item(self, shard: str, name: str) -> Any:
        """The group or dataset of that path in a shard; looking one up costs as much as reading a frame.

        Raises:
            InputError: the shard is missing or damaged.
            KeyError: there is no such item.
        """
        file = self.file(shard)
        if (shard, name) not in self._items:
            if len(self._items) >= _MAX_ITEMS:
                self._items.clear()
            self._items[shard, name] = file[name]
        return self._items[shard, name]

    def close(self) -> None:
        """Close all files; they open again at need."""
        self._items.clear()
        while self._open:
            self._open.popitem()[1].close()

    def _forget(self) -> None:
        self._open: OrderedDict[str, h5py.File] = OrderedDict()
        self._items: dict[tuple[str, str], Any] = {}
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "opener": self._opener}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.folder, self._opener = state["folder"], state["opener"]
        self._forget()


class Episode:
    """One episode, read lazily: each property reads its own column from the disk, `image` a single frame."""

    def __init__(self, files: ShardFiles, entry: EpisodeEntry) -> None:
        self._files = files
        self.entry = entry

    @property
    def id(self) -> str:
        """The episode's name, unique in its dataset."""
        return self.entry.id

    @property
    def length(self) -> int:
        """T, the number of frames."""
        return self.entry.length

    @property
    def instruction(self) -> str:
        """What the arm was told."""
        return self.entry.instruction

    @property
    def task(self) -> str | None:
        """The task's name, None if unknown."""
        return self.entry.task

    @property
    def success(self) -> bool | None:
        """Whether the task was done, None if unknown."""
        return self.entry.success

    @property
    def action(self) -> Floats32:
        """(T, A) f32, the command given at each frame, in the dataset's action space."""
        return self._column("action", np.float32)

    @property
    def state(self) -> Floats32:
        """(T, S) f32; (T, 0) in a dataset without state."""
        if "state" not in self.group:
            return np.zeros((self.length, 0), np.float32)
        return self._column("state", np.float32)

    @property
    def timestamp(self) -> Floats64:
        """(T,) f64, seconds since the episode's start."""
        return self._column("timestamp", np.float64)

    @property
    def extras(self) -> Mapping[str, Floats32]:
        """(T, n) f32 by name: the extras that this episode has."""
        return {name: self._column(f"extras/{name}", np.float32) for name in self._names("extras")}

    @property
    def cameras(self) -> list[str]:
        """The cameras that this episode has images of."""
        return self._names("images")

    @property
    def notes(self) -> str:
        """What the episode's maker wrote down about it; a conversion keeps its findings here.

        Raises:
            InputError: they cannot be read.
        """
        return read_notes(self.group)

    @property
    def group(self) -> h5py.Group:
        """The episode's HDF5 group.

        Raises:
            InputError: its shard is missing or damaged, or has no such group.
        """
        try:
            group = self._files.item(self.entry.shard, self.id)
        except READ_ERRORS as error:
            raise self._damaged("the episode", error) from error
        if not isinstance(group, h5py.Group):
            raise self._damaged("the episode", "it is no group")
        return group

    def jpeg(self, camera: str, t: int) -> bytes:
        """The JPEG bytes of one frame.

        Raises:
            InputError: the dataset has no such camera, or the frame is missing.
            IndexError: t is outside -T .. T - 1.
        """
        if not -self.length <= t < self.length:
            raise IndexError(f"frame {t} of {self.length}")
        try:
            frames = self._files.item(self.entry.shard, f"{self.id}/images/{camera}")
            return bytes(np.asarray(frames[t % self.length], np.uint8))
        except READ_ERRORS as error:
            raise self._damaged(f"frame {t} of camera {camera}", error) from error

    def image(self, camera: str, t: int) -> Rgb:
        """One frame, u8 (h, w, 3); nothing else is read.

        Raises:
            InputError: the frame is missing or cannot be decoded.
            IndexError: t is outside -T .. T - 1.
        """
        data = self.jpeg(camera, t)
        try:
            return jpeg.decode(data)
        except ValueError as error:
            raise self._damaged(f"frame {t} of camera {camera}", error) from error

    def images(self, camera: str) -> Rgb:
        """All frames of a camera, u8 (T, h, w, 3).

        Raises:
            InputError: a frame is missing or cannot be decoded.
        """
        return np.stack([self.image(camera, t) for t in range(self.length)])

    def content_hash(self) -> str:
        """sha256 over text, flags, columns and JPEG bytes; it does not depend on how the shards are laid out.

        Raises:
            InputError: the episode is damaged.
        """
        digest = hashlib.sha256()
        _hash_part(digest, json.dumps(self.entry.model_dump(exclude={"shard"}), sort_keys=True).encode())
        columns: dict[str, npt.NDArray[Any]] = {
            "action": self.action,
            "state": self.state,
            "timestamp": self.timestamp,
        }
        columns.update({f"extras/{name}": column for name, column in self.extras.items()})
        for name, column in sorted(columns.items()):
            _hash_part(digest, f"{name} {column.dtype.str} {column.shape}".encode())
            _hash_part(digest, np.ascontiguousarray(column).tobytes())
        for camera in sorted(self.cameras):
            _hash_part(digest, camera.encode())
            for t in range(self.length):
                _hash_part(digest, self.jpeg(camera, t))
        return digest.hexdigest()

    def _column(self, name: str, dtype: type[np.generic]) -> npt.NDArray[Any]:
        try:
            return np.asarray(self.group[name][()], dtype)
        except READ_ERRORS as error:
            raise self._damaged(name, error) from error

    def _names(self, group: str) -> list[str]:
        try:
            return sorted(self.group.get(group, {}))
        except READ_ERRORS as error:
            raise self._damaged(group, error) from error

    def _damaged(self, what: str, why: object) -> InputError:
        shard = self._files.folder / self.entry.shard
        return InputError(
            f"Episode {self.id}: {what} cannot be read from {shard} ({why}); "
            f"`pvla data validate {self._files.folder.parent}` lists what is damaged."
        )


class Store:
    """A dataset, open for reading: episodes in the order of their ids. It survives pickling and a fork."""

    def __init__(self, path: Path, info: DatasetInfo) -> None:
        self.path = path
        self.info = info
        self._files = ShardFiles(path / index.SHARDS)
        self._by_id = {entry.id: number for number, entry in enumerate(info.episodes)}

    @classmethod
    def open(cls, path: Path | str) -> Store:
        """Open the dataset at `path`; after a kill, or while others write, with all episodes sealed so far.

        Raises:
            InputError: no dataset there, malformed or newer `dataset.json`, or a missing or truncated shard.
        """
        path = Path(path)
        info = index.current_info(path)
        for name, shard in info.shards.items():
            _check_shard(path / index.SHARDS / name, shard.bytes)
        return cls(path, info)

    def __len__(self) -> int:
        return len(self.info.episodes)

    def __getitem__(self, number: int) -> Episode:
        return Episode(self._files, self.info.episodes[number])

    def __iter__(self) -> Iterator[Episode]:
        return (self[number] for number in range(len(self)))

    def episode(self, id: str) -> Episode:
        """The episode of that id.

        Raises:
            InputError: there is none.
        """
        if id not in self._by_id:
            raise InputError(
                f"Dataset {self.path} has no episode {id}; `pvla data info {self.path} --json` lists them."
            )
        return self[self._by_id[id]]

    @property
    def frames(self) -> int:
        """Frames in all episodes together."""
        return sum(entry.length for entry in self.info.episodes)

    def statistics(self) -> dict[str, Statistics]:
        """Statistics by column, from the index; computed now if the index is older than the shards.

        Raises:
            InputError: a shard is damaged.
        """
        if self.info.statistics or not self.info.episodes:
            return self.info.statistics
        shards = sorted({entry.shard for entry in self.info.episodes})
        return episode_statistics(self.path / index.SHARDS / shard for shard in shards)

    def content_hash(self) -> str:
        """sha256 over the content of all episodes, in the order of their ids, whatever shards they lie in.

        Raises:
            InputError: an episode is damaged.
        """
        digest = hashlib.sha256()
        for episode in self:
            digest.update(bytes.fromhex(episode.content_hash()))
        return digest.hexdigest()

    def close(self) -> None:
        """Close the shards; they open again at need."""
        self._files.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_shard(shard: Path, size: int) -> None:
    # A shard of another size that opens was edited, not cut: what is wrong in it shows when it is used.
    if not shard.is_file() or shard.stat().st_size != size:
        open_shard(shard).close()


def _hash_part(digest: Any, part: bytes) -> None:
    digest.update(len(part).to_bytes(8, "big"))
    digest.update(part)
