"""The columns of the episodes that were drawn last: what a sample needs beside its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pvla.datasets.sampling.recent import Recent
from pvla.datasets.splits import progress_labels
from pvla.datasets.store import Episode, Floats32, Floats64, Store
from pvla.errors import InputError

_MAX_FRAMES: Final = 1 << 18


@dataclass(frozen=True)
class Columns:
    """One episode without its pictures: action (T, A), state (T, S), timestamp (T,) s, progress (T,)."""

    episode: Episode
    action: Floats32
    state: Floats32
    timestamp: Floats64
    progress: Floats32

    @classmethod
    def of(cls, episode: Episode) -> Columns:
        """Read them.

        Raises:
            InputError: a column cannot be read, is of another length than the episode, or time does not increase.
        """
        columns = cls(episode, episode.action, episode.state, episode.timestamp, progress_labels(episode))
        for name in ("action", "state", "timestamp", "progress"):
            if len(getattr(columns, name)) != episode.length:
                rows = len(getattr(columns, name))
                raise _broken(episode, f"{name} has {rows} rows for {episode.length} frames")
        if not (np.diff(columns.timestamp) > 0).all():
            raise _broken(episode, "time does not increase in every frame")
        return columns

    def later(self, t: int, seconds: float) -> int:
        """The frame whose time stamp is nearest to `seconds` after that of frame t: never t itself, at most the last.

        Raises:
            IndexError: t is the last frame, or none of the episode's.
        """
        last = len(self.timestamp) - 1
        if not 0 <= t < last:
            raise IndexError(f"frame {t} of {last + 1} has none after it")
        wanted = self.timestamp[t] + seconds
        after = int(np.searchsorted(self.timestamp, wanted))
        if after > last:
            return last
        nearer = after - 1 if wanted - self.timestamp[after - 1] < self.timestamp[after] - wanted else after
        return max(nearer, t + 1)

    def chunk(self, t: int, horizon: int) -> tuple[Floats32, npt.NDArray[np.bool_]]:
        """Actions (H, A) from frame t on, the last one held past the end; and (H,) whether one is past the end."""
        frames = t + np.arange(horizon)
        last = len(self.action) - 1
        held: Floats32 = self.action[np.minimum(frames, last)]
        return held, frames > last


class ColumnCache:
    """The columns of an open dataset's episodes; those used last are kept, up to a number of frames in all."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: Recent[int, Columns] = Recent(_MAX_FRAMES)

    def columns(self, number: int) -> Columns:
        """Those of the episode at this place in the dataset's list.

        Raises:
            InputError: they cannot be read.
        """
        columns = self._kept.get(number)
        if columns is None:
            columns = Columns.of(self._store[number])
            self._kept.put(number, columns, min(columns.episode.length, _MAX_FRAMES))  # one is kept, however long
        return columns


def _broken(episode: Episode, what: str) -> InputError:
    return InputError(f"Episode {episode.id} cannot be trained on: {what}; `pvla data validate` says more.")
