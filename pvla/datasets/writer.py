"""Writing a dataset: episodes are collected in memory and reach the disk a shard at a time, or not at all.

Several processes may write to one dataset at the same time: each has its own `StoreWriter` (with its own
`shard_prefix`, for the reader's sake), and whoever closes last leaves an index with everybody's episodes. A
kill loses at most the `episodes_per_shard` episodes that were still in memory; `StoreWriter.resume` goes on
from there, and `writer.ids` says which episodes need not be recorded again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from pvla.datasets import index, jpeg
from pvla.datasets.checks import MIN_FRAMES
from pvla.datasets.files import DiskFull, dataset_lock, remove_leftovers, seal
from pvla.datasets.schema import DatasetInfo, EpisodeEntry
from pvla.datasets.shard import EpisodeData, shard_image
from pvla.errors import InputError, RunFault

MAX_SHARD_BYTES: Final = 256 << 20  # a shard is sealed earlier when its episodes take more than this

Image = npt.NDArray[np.uint8] | bytes


class StoreWriter:
    """Adds episodes to the dataset at `path`; makes the dataset when there is none.

    Args:
        path: the dataset's folder.
        info: what the dataset is. When `path` already holds a dataset, both must say the same.
        shard_prefix: how this writer's shard files are called: `<prefix>-00000.h5` and so on.
        episodes_per_shard: how many episodes are kept in memory until they are written together.
        shard_bytes: they are written earlier when they take more than this.
        index_on_close: whether `close` brings `dataset.json` up to date; workers leave that to their parent.

    Raises:
        InputError: `path` holds another dataset, a damaged one, or cannot be a folder.
        RunFault: the folder cannot be written.
    """

    def __init__(
        self,
        path: Path,
        info: DatasetInfo,
        *,
        shard_prefix: str = "shard",
        episodes_per_shard: int = 16,
        shard_bytes: int = MAX_SHARD_BYTES,
        index_on_close: bool = True,
    ) -> None:
        self.path = Path(path)
        self.shard_prefix = shard_prefix
        self.episodes_per_shard = episodes_per_shard
        self.shard_bytes = shard_bytes
        self.index_on_close = index_on_close
        self._pending: list[EpisodeData] = []
        self._closed = False
        self.info = _create_or_join(self.path, info.without_index())
        remove_leftovers(self.path)
        remove_leftovers(self.path / index.SHARDS)
        self.ids = {entry.id for entry in index.current_info(self.path).episodes}

    @classmethod
    def resume(
        cls,
        path: Path,
        *,
        shard_prefix: str = "shard",
        episodes_per_shard: int = 16,
        index_on_close: bool = True,
    ) -> StoreWriter:
        """Go on with the dataset at `path`, after a clean close or after a kill.

        The index is made anew from the sealed shards; episodes whose shard was lost are no longer in `ids`,
        so that they are recorded again.

        Raises:
            InputError: no dataset there, or a sealed shard is damaged.
            RunFault: the index cannot be written.
        """
        path = Path(path)
        info = index.rebuild_index(path)
        return cls(
            path,
            info,
            shard_prefix=shard_prefix,
            episodes_per_shard=episodes_per_shard,
            index_on_close=index_on_close,
        )

    def episode(self, id: str, instruction: str, task: str | None = None, source_id: str = "") -> EpisodeRecorder:
        """Start an episode; nothing of it is kept unless its `finish` is called.

        Raises:
            InputError: the id is not a plain name, or the dataset has an episode of that id.
        """
        if id in self.ids:
            raise InputError(f"Dataset {self.path} already has an episode {id}: give the new one another id.")
        try:
            entry = EpisodeEntry(
                id=id,
                shard=self.shard_prefix,
                length=0,
                instruction=instruction,
                task=task,
                source_id=source_id,
            )
        except ValidationError as error:
            raise InputError(
                f"Episode id {id!r} or shard prefix {self.shard_prefix!r}: {error.errors()[0]['msg']}."
            ) from error
        return EpisodeRecorder(self, entry)

    def add(self, episode: EpisodeData) -> None:
        """Add an episode that is whole already; its shard is this writer's, whatever its entry says.

        Raises:
            InputError: the dataset has an episode of that id, or it does not fit what the dataset declares.
            RunFault: the shard cannot be written; see `flush` for what a full disk keeps.
        """
        if episode.entry.id in self.ids:
            raise InputError(f"Dataset {self.path} already has an episode {episode.entry.id}: give it another id.")
        if misfit := _misfit(self.info, episode):
            raise InputError(f"Episode {episode.entry.id} {misfit}.")
        self._accept(episode)

    def flush(self) -> None:
        """Seal what is in memory as one shard.

        Raises:
            DiskFull: as much as fits was sealed (fewer episodes, or the head of one), as the message says.
            RunFault: the shard cannot be written; nothing was.
        """
        if not self._pending:
            return
        try:
            self._seal(self._pending)
        except DiskFull as error:
            self._salvage(error)
        self._pending = []

    def close(self) -> None:
        """Seal what is in memory and bring the index up to date (see `index_on_close`).

        Raises:
            RunFault: as `flush`, or the index cannot be written; the sealed shards are readable all the same.
        """
        if self._closed:
            return
        self._closed = True
        self.flush()
        if self.index_on_close:
            self.info = index.rebuild_index(self.path)

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After a failed write there is nothing to add; after any other exception whole episodes are kept.
        if isinstance(error, RunFault):
            self._closed = True
        self.close()

    def _accept(self, episode: EpisodeData) -> None:
        self._pending.append(episode)
        self.ids.add(episode.entry.id)
        full = sum(pending.size for pending in self._pending) >= self.shard_bytes
        if full or len(self._pending) >= self.episodes_per_shard:
            self.flush()

    def _seal(self, episodes: list[EpisodeData]) -> None:
        seal(self.path, self.path / index.SHARDS, self.shard_prefix, shard_image(episodes))

    def _salvage(self, error: DiskFull) -> None:
        """Seal as much of what is in memory as still fits, then raise the error with what was kept."""
        pending, self._pending, self._closed = self._pending, [], True
        for part, kept in _smaller(pending):
            try:
                self._seal(part)
            except DiskFull:
                continue
            raise DiskFull(f"{error} Of what was not yet written, this was kept: {kept}.") from error
        raise error


class EpisodeRecorder:
    """Collects one episode's frames; images are kept as JPEG bytes.

    As a context manager it only marks where the episode is recorded: an episode that is not finished when the
    block ends is dropped.
    """

    def __init__(self, writer: StoreWriter, entry: EpisodeEntry) -> None:
        self._writer = writer
        self._info = writer.info
        self._entry = entry
        self._images: dict[str, list[bytes]] = {camera.name: [] for camera in self._info.cameras}
        self._actions: list[npt.NDArray[np.float32]] = []
        self._states: list[npt.NDArray[np.float32]] = []
        self._timestamps: list[float] = []
        self._extras: dict[str, npt.NDArray[np.float32]] = {}
        self._rows: dict[str, dict[int, npt.NDArray[np.float32]]] = {}

    @property
    def length(self) -> int:
        """Frames so far."""
        return len(self._timestamps)

    def add(
        self,
        images: Mapping[str, Image],
        action: npt.ArrayLike,
        state: npt.ArrayLike | None,
        timestamp: float,
        extras: Mapping[str, npt.ArrayLike] | None = None,
    ) -> None:
        """Add one frame.

        Args:
            images: for every camera u8 (height, width, 3), or JPEG bytes that are kept as they are.
            action: (A,), the command given at this frame.
            state: (S,), or None in a dataset without state.
            timestamp: seconds since the episode's start.
            extras: rows (n,) of some or all of the dataset's extras; what is left out is NaN.

        Raises:
            InputError: a camera is missing or unknown, or a shape is wrong; the frame was not added.
        """
        encoded = {camera.name: self._encode(images, camera.name) for camera in self._info.cameras}
        if unknown := set(images) - set(encoded):
            raise self._error(f"has images of camera {min(unknown)}, which the dataset does not declare")
        action_row = self._row("action", action, self._info.action_dim)
        state_row = self._row("state", [] if state is None else state, self._info.state_dim)
        given = (extras or {}).items()
        extra_rows = {name: self._row(f"extras/{name}", row, self._width(name)) for name, row in given}
        for name, data in encoded.items():
            self._images[name].append(data)
        for name, row in extra_rows.items():
            self._rows.setdefault(name, {})[self.length] = row
        self._actions.append(action_row)
        self._states.append(state_row)
        self._timestamps.append(float(timestamp))

    def set_extra(self, name: str, column: npt.ArrayLike) -> None:
        """Give the whole column (T, n) of an extra that is known only in hindsight, before `finish`.

        Raises:
            InputError: the dataset has no such extra, or the shape is not (T, n).
        """
        rows = np.asarray(column, np.float32)
        expected = (self.length, self._width(name))
        if rows.shape != expected:
            raise self._error(f"got extras/{name} of shape {rows.shape}, not {expected}")
        self._extras[name] = rows

    def finish(self, success: bool | None = None, *, interrupted: bool = False) -> None:
        """Hand the episode to the writer.

        Args:
            success: whether the task was done, None if unknown.
            interrupted: recording ended before the episode did (a stop, a fault): what was recorded so far is
                kept as an episode that says so.

        Raises:
            InputError: fewer than two frames were added; nothing was written.
            RunFault: the shard cannot be written; see `StoreWriter.flush` for what a full disk keeps.
        """
        if self.length < MIN_FRAMES:
            raise self._error(f"has {_frames(self.length)}, an episode needs {MIN_FRAMES}")
        update = {"length": self.length, "success": success, "interrupted": interrupted}
        entry = self._entry.model_copy(update=update)
        self._writer._accept(EpisodeData(entry, self._images, self._columns()))

    def __enter__(self) -> EpisodeRecorder:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def _columns(self) -> dict[str, npt.NDArray[np.generic]]:
        columns: dict[str, npt.NDArray[np.generic]] = {"action": np.stack(self._actions)}  # (T, A)
        if self._info.state_dim:
            columns["state"] = np.stack(self._states)  # (T, S)
        columns["timestamp"] = np.asarray(self._timestamps, np.float64)  # (T,)
        for name, rows in self._rows.items():
            column = np.full((self.length, self._width(name)), np.nan, np.float32)
            column[list(rows)] = list(rows.values())
            columns[f"extras/{name}"] = column
        columns.update({f"extras/{name}": column for name, column in self._extras.items()})
        return columns

    def _encode(self, images: Mapping[str, Image], name: str) -> bytes:
        if name not in images:
            raise self._error(f"has no image of camera {name} at frame {self.length}")
        image = images[name]
        if isinstance(image, bytes):
            return image
        camera = self._info.camera(name)
        if image.dtype != np.uint8 or image.shape != (camera.height, camera.width, 3):
            raise self._error(
                f"has a {image.dtype} image of shape {image.shape} of camera {name} at frame {self.length}, "
                f"not uint8 {(camera.height, camera.width, 3)}"
            )
        return jpeg.encode(image, self._info.images)

    def _row(self, name: str, row: npt.ArrayLike, width: int) -> npt.NDArray[np.float32]:
        values = np.array(row, np.float32)  # a copy: callers reuse their buffers
        if values.shape != (width,):
            raise self._error(f"has {name} of shape {values.shape} at frame {self.length}, not {(width,)}")
        return values

    def _width(self, name: str) -> int:
        if name not in self._info.extras:
            raise self._error(f"got an extra {name}, which the dataset does not declare")
        return self._info.extras[name]

    def _error(self, what: str) -> InputError:
        return InputError(f"Episode {self._entry.id} {what}.")


def _misfit(info: DatasetInfo, episode: EpisodeData) -> str:
    """How an episode differs from what its dataset declares; "" if it does not."""
    length = episode.entry.length
    if length < MIN_FRAMES:
        return f"has {_frames(length)}, an episode needs {MIN_FRAMES}"
    expected: dict[str, tuple[int, ...]] = {"action": (length, info.action_dim), "timestamp": (length,)}
    if info.state_dim:
        expected["state"] = (length, info.state_dim)
    expected |= {f"extras/{name}": (length, width) for name, width in info.extras.items()}
    for name in sorted(expected.keys() | episode.columns.keys()):
        if name not in episode.columns and name.startswith("extras/"):
            continue
        shape = episode.columns[name].shape if name in episode.columns else None
        if shape != expected.get(name):
            return f"has {name} of shape {shape}, the dataset declares {expected.get(name)}"
    counts = {name: len(frames) for name, frames in episode.images.items()}
    declared = {camera.name: length for camera in info.cameras}
    return "" if counts == declared else f"has images {counts}, the dataset declares {declared}"


def _frames(count: int) -> str:
    return f"{count} frame{'s' * (count != 1)}"


def _create_or_join(path: Path, info: DatasetInfo) -> DatasetInfo:
    try:
        (path / index.SHARDS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be a dataset's folder: {error.strerror or error}.") from error
    with dataset_lock(path):
        if not (path / index.INDEX).exists():
            index.save_info(path, info)
            return info
    there = index.load_info(path).without_index()
    for field in DatasetInfo.model_fields:
        if getattr(there, field) != getattr(info, field):
            raise InputError(f"{path} already holds another dataset (its {field} differs): choose another folder.")
    return there


def _smaller(pending: list[EpisodeData]) -> Iterable[tuple[list[EpisodeData], str]]:
    """Ever smaller parts of what is in memory, each with its description."""
    count = len(pending)
    while (count := count // 2) >= 1:
        yield pending[:count], f"{count} of {len(pending)} episodes"
    length = total = pending[0].entry.length
    while (length := length // 2) >= MIN_FRAMES:
        yield (
            [pending[0].head(length)],
            f"the first {length} of {total} frames of episode {pending[0].entry.id}",
        )
