"""A shard: one sealed HDF5 file with a group for each of its episodes.

A shard is built in memory and reaches the disk whole, under its final name, or not at all; it is never opened
for writing again. So there is no moment at which a kill, or a full disk, can damage it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from pvla.datasets.schema import EpisodeEntry
from pvla.errors import InputError

Array = npt.NDArray[np.generic]
READ_ERRORS = (KeyError, IndexError, OSError, RuntimeError, TypeError, ValueError, MemoryError)
"""What HDF5 raises when it reads a file whose bytes were changed."""
NOTES = "notes"
_counter = itertools.count()


@dataclass
class EpisodeData:
    """One whole episode in memory: its index entry, JPEG bytes by camera, columns of T rows by HDF5 path.

    `notes` is what its maker wants to find again with it (a conversion keeps its findings there), as text.
    """

    entry: EpisodeEntry
    images: dict[str, list[bytes]]
    columns: dict[str, Array] = field(default_factory=dict)
    notes: str = ""

    @property
    def size(self) -> int:
        """Bytes that the episode takes, nearly."""
        frames = sum(len(data) for camera in self.images.values() for data in camera)
        return frames + sum(column.nbytes for column in self.columns.values())

    def head(self, length: int) -> EpisodeData:
        """The first `length` frames as an interrupted episode."""
        return EpisodeData(
            self.entry.model_copy(update={"length": length, "success": None, "interrupted": True}),
            {camera: frames[:length] for camera, frames in self.images.items()},
            {name: column[:length] for name, column in self.columns.items()},
            self.notes,
        )


def shard_image(episodes: list[EpisodeData]) -> bytes:
    """The bytes of an HDF5 file with these episodes."""
    with memory_file() as file:
        for episode in episodes:
            _write_episode(file.create_group(episode.entry.id), episode)
        return file_image(file)


def memory_file() -> h5py.File:
    """A new HDF5 file that lives in memory only."""
    return h5py.File(f"memory-{next(_counter)}", "w", driver="core", backing_store=False)


def file_image(file: h5py.File) -> bytes:
    """The bytes that `file` would have on the disk."""
    file.flush()
    image: bytes = file.id.get_file_image()
    return image


def _write_episode(group: h5py.Group, episode: EpisodeData) -> None:
    for name, column in episode.columns.items():
        group.create_dataset(name, data=column)
    for camera, frames in episode.images.items():
        dataset = group.create_dataset(f"images/{camera}", (len(frames),), h5py.vlen_dtype(np.uint8))
        for index, data in enumerate(frames):
            dataset[index] = np.frombuffer(data, np.uint8)
    entry = episode.entry
    group.attrs.update({"id": entry.id, "source_id": entry.source_id, "instruction": entry.instruction})
    group.attrs.update({"success": _SUCCESS_TEXT[entry.success], "interrupted": entry.interrupted})
    if entry.task is not None:
        group.attrs["task"] = entry.task
    if episode.notes:
        # A dataset, not an attribute: HDF5 gives an object's attributes 64 KiB in all.
        group.create_dataset(NOTES, data=episode.notes, dtype=h5py.string_dtype())
    group.attrs["length"] = entry.length
    group.attrs["complete"] = True


_SUCCESS_TEXT = {True: "true", False: "false", None: "unknown"}
_SUCCESS_VALUE = {text: value for value, text in _SUCCESS_TEXT.items()}


def damaged(path: Path, why: object) -> InputError:
    """The error for a shard whose bytes cannot be those that were written."""
    return InputError(
        f"Shard {path} is truncated or damaged ({why}): restore it, or delete it and run the command that "
        f"made the dataset again; `pvla data validate {path.parent.parent}` says more."
    )


def open_shard(path: Path) -> h5py.File:
    """Open a sealed shard for reading.

    Raises:
        InputError: the file is missing, truncated, or no HDF5 file.
    """
    if not path.is_file():
        advice = "restore it, or run the command that made the dataset again"
        raise InputError(
            f"Shard {path} is missing: {advice}; `pvla data validate {path.parent.parent}` says what is lost."
        )
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise damaged(path, "it is no whole HDF5 file") from error


def read_entry(group: h5py.Group, shard: str) -> EpisodeEntry:
    """The index entry of the episode in `group`.

    Raises:
        InputError: the group's attributes are not those of a whole episode.
    """
    attrs = group.attrs
    try:
        if not attrs["complete"]:
            raise ValueError("not complete")
        return EpisodeEntry(
            id=attrs["id"],
            shard=shard,
            length=int(attrs["length"]),
            instruction=attrs["instruction"],
            task=attrs.get("task"),
            success=_SUCCESS_VALUE[attrs["success"]],
            source_id=attrs["source_id"],
            interrupted=bool(attrs["interrupted"]),
        )
    except READ_ERRORS as error:
        what = "has not the attributes of a whole episode"
        raise InputError(f"Group {group.name} of shard {shard} {what}: {error}.") from error


def read_notes(group: h5py.Group) -> str:
    """The notes of the episode in `group`, "" if it has none.

    Raises:
        InputError: they cannot be read.
    """
    if NOTES not in group:
        return ""
    try:
        return str(group[NOTES].asstr()[()])
    except READ_ERRORS as error:
        raise InputError(f"The notes of group {group.name} cannot be read: {error}.") from error


def read_entries(path: Path) -> list[EpisodeEntry]:
    """The index entries of all episodes of a shard.

    Raises:
        InputError: the shard, or an episode in it, is damaged.
    """
    with open_shard(path) as file:
        try:
            groups = [file[name] for name in file]
        except READ_ERRORS as error:
            raise damaged(path, error) from error
        return [read_entry(group, path.name) for group in groups]
