"""Features of a frozen encoder beside a dataset: `features/<key>/shard-*.h5`, computed once, read often.

`<key>` names the encoder (its hash). Each shard is sealed like the dataset's own (see `pvla.datasets.shard`)
and has a group for each of its episodes: `patches` (T, P, D) f16 and the attribute `length`. The text
encoder's token states lie in `features/<key>/instructions.h5`, a table text -> (L, Dt) f16 that is always
replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

import h5py
import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from pvla.datasets.files import dataset_lock, remove_leftovers, seal, write_atomic
from pvla.datasets.pool import Part
from pvla.datasets.schema import Name
from pvla.datasets.shard import READ_ERRORS, file_image, memory_file, open_shard
from pvla.datasets.store import ShardFiles, Store
from pvla.errors import InputError, RunFault

Half = npt.NDArray[np.float16]
FEATURES: Final = "features"
INSTRUCTIONS: Final = "instructions.h5"
MAX_SHARD_BYTES: Final = 64 << 20
_MARK: Final = "unfinished"
_name = TypeAdapter(Name)


def features_folder(path: Path, key: str) -> Path:
    """The folder of the features of encoder `key` beside the dataset at `path`.

    Raises:
        InputError: the key cannot be a folder's name.
    """
    try:
        return path / FEATURES / _name.validate_python(key)
    except ValidationError as error:
        raise InputError(f"Features cannot be kept under the key {key!r}: it is no plain name.") from error


def set_unfinished_features(path: Path, key: str, part: Part, *, finished: bool) -> None:
    """Mark a part of the features of encoder `key` as begun or as finished; who begins first names all parts.

    Raises:
        InputError: the key cannot be a folder's name.
        RunFault: the mark cannot be written.
    """
    folder = features_folder(path, key)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with dataset_lock(path):
            if finished:
                (folder / _mark(part)).unlink(missing_ok=True)
                return
            fresh = not any(folder.iterdir())
            for number in range(1, part.of + 1) if fresh else [part.number]:
                (folder / _mark(Part(number, part.of))).touch()
    except OSError as error:
        raise RunFault(f"Cannot write in {folder}: {error.strerror or error}.") from error


def unfinished_features(path: Path) -> list[str]:
    """The parts of features that were begun and not finished, in words."""
    marks = sorted((path / FEATURES).glob(f"*/{_MARK}-*"))
    return [f"part {mark.name.removeprefix(_MARK + '-')} of features/{mark.parent.name}" for mark in marks]


def _mark(part: Part) -> str:
    return f"{_MARK}-{part.number}-of-{part.of}"


class FeatureWriter:
    """Adds features of encoder `key` to the dataset at `path`; a kill loses at most what was not yet sealed.

    Args:
        path: the dataset's folder.
        key: the encoder's name or hash.
        shard_prefix: several processes may write at the same time, with the same prefix or their own.
        shard_bytes: a shard is sealed when its features take this much.

    Raises:
        InputError: the key cannot be a folder's name.
        RunFault: the folder cannot be made.
    """

    def __init__(
        self, path: Path, key: str, *, shard_prefix: str = "shard", shard_bytes: int = MAX_SHARD_BYTES
    ) -> None:
        self.path = Path(path)
        self.folder = features_folder(self.path, key)
        self.shard_prefix = shard_prefix
        self.shard_bytes = shard_bytes
        self._pending: dict[str, Half] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFault(f"Cannot make {self.folder}: {error.strerror or error}.") from error
        remove_leftovers(self.folder)

    def add(self, id: str, patches: npt.ArrayLike) -> None:
        """Add one episode's patches (T, P, D), kept as f16.

        Raises:
            InputError: they are no (T, P, D), or not finite as f16.
            RunFault: the shard cannot be written.
        """
        rows = np.asarray(patches, np.float16)
        if rows.ndim != 3 or not np.isfinite(rows).all():
            raise InputError(f"Features of episode {id} are no finite (T, P, D) in fp16: {rows.shape}.")
        self._pending[id] = rows
        if sum(pending.nbytes for pending in self._pending.values()) >= self.shard_bytes:
            self.flush()

    def flush(self) -> None:
        """Seal what is in memory.

        Raises:
            RunFault: the shard cannot be written.
        """
        pending, self._pending = self._pending, {}
        if pending:
            seal(self.path, self.folder, self.shard_prefix, _shard_image(pending))

    def add_instructions(self, table: Mapping[str, npt.ArrayLike]) -> None:
        """Add token states (L, Dt) by text to the table, at once.

        Raises:
            InputError: the states are not all of one shape (L, Dt).
            RunFault: the table cannot be written.
        """
        with dataset_lock(self.path):
            rows = {
                **read_instructions(self.folder),
                **{text: np.asarray(row, np.float16) for text, row in table.items()},
            }
            shapes = {row.shape for row in rows.values()}
            if len(shapes) != 1 or len(next(iter(shapes))) != 2:
                raise InputError(f"Token states are not all of one shape (L, Dt): {sorted(shapes)}.")
            write_atomic(self.folder / INSTRUCTIONS, _table_image(rows))

    def close(self) -> None:
        """Seal what is in memory.

        Raises:
            RunFault: the shard cannot be written.
        """
        self.flush()

    def __enter__(self) -> FeatureWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FeatureStore:
    """Features of encoder `key` beside the dataset at `path`, open for reading; maybe empty.

    Raises:
        InputError: a shard or the table is damaged.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.folder = features_folder(Path(path), key)
        self._files = ShardFiles(self.folder, _open)
        self._lengths: dict[str, int] = {}
        self._shards: dict[str, str] = {}
        for shard in sorted(file for file in self.folder.glob("*.h5") if file.name != INSTRUCTIONS):
            self._scan(shard)
        self.instructions: Mapping[str, Half] = read_instructions(self.folder)

    @property
    def ids(self) -> list[str]:
        """The episodes that have features, sorted."""
        return sorted(self._lengths)

    def __contains__(self, id: str) -> bool:
        return id in self._lengths

    def length(self, id: str) -> int:
        """T of an episode.

        Raises:
            InputError: it has no features.
        """
        self._shard_of(id)
        return self._lengths[id]

    def patches(self, id: str, frames: int | slice = slice(None)) -> Half:
        """Patches f16 of an episode: (T, P, D), or (P, D) of one frame, or a slice; only these are read.

        Raises:
            InputError: the episode has no features, or its shard is damaged.
            IndexError: no such frame.
        """
        shard = self._shard_of(id)
        if isinstance(frames, int) and not -self._lengths[id] <= frames < self._lengths[id]:
            raise IndexError(f"frame {frames} of {self._lengths[id]}")
        try:
            rows: Half = self._files.item(shard, f"{id}/patches")[frames]
        except READ_ERRORS as error:
            raise _damaged_features(self.folder / shard, error) from error
        return rows

    def missing(self, store: Store) -> list[str]:
        """The episodes of `store` that have no features here, or features of another length."""
        return [entry.id for entry in store.info.episodes if self._lengths.get(entry.id) != entry.length]

    def close(self) -> None:
        """Close the shards; they open again at need."""
        self._files.close()

    def _shard_of(self, id: str) -> str:
        if id not in self._shards:
            raise InputError(f"Episode {id} has no features in {self.folder}: compute them again.")
        return self._shards[id]

    def _scan(self, shard: Path) -> None:
        try:
            with _open(shard) as file:
                lengths = {id: int(group.attrs["length"]) for id, group in file.items()}
        except READ_ERRORS as error:
            raise _damaged_features(shard, error) from error
        self._lengths.update(lengths)
        self._shards.update(dict.fromkeys(lengths, shard.name))


def read_instructions(folder: Path) -> dict[str, Half]:
    """The table text -> (L, Dt) f16 of a features folder; empty when there is none.

    Raises:
        InputError: the table is damaged.
    """
    path = folder / INSTRUCTIONS
    if not path.exists():
        return {}
    try:
        with _open(path) as file:
            texts, tokens = file["text"].asstr()[()], file["tokens"][()]
            return dict(zip(texts, np.asarray(tokens, np.float16), strict=True))
    except READ_ERRORS as error:
        raise _damaged_features(path, error) from error


def _table_image(rows: Mapping[str, Half]) -> bytes:
    with memory_file() as file:
        file.create_dataset("text", data=list(rows), dtype=h5py.string_dtype())
        file.create_dataset("tokens", data=np.stack(list(rows.values())))  # (n, L, Dt)
        return file_image(file)


def _shard_image(episodes: Mapping[str, Half]) -> bytes:
    with memory_file() as file:
        for id, patches in episodes.items():
            group = file.create_group(id)
            group.create_dataset("patches", data=patches)
            group.attrs["length"] = len(patches)
        return file_image(file)


def _open(path: Path) -> h5py.File:
    try:
        return open_shard(path)
    except InputError as error:
        raise _damaged_features(path, "it is no whole HDF5 file") from error


def _damaged_features(path: Path, why: object) -> InputError:
    advice = "delete the file and compute them again"
    return InputError(f"Features {path} are missing or damaged ({why}): {advice}.")
