"""Which episodes are trained on and which are held out, and the progress label of every frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pvla.datasets.store import Episode, Store

Split = Literal["train", "held_out"]
HELD_OUT_EVERY = 10


class Outcome(Protocol):
    """What tells episodes apart for the split: an `Episode`, or its entry in the dataset's index."""

    @property
    def task(self) -> str | None:
        """The task's name."""

    @property
    def success(self) -> bool | None:
        """Whether it was done, if known."""


AnyEpisode = TypeVar("AnyEpisode", bound=Outcome)


def progress_labels(episode: Episode) -> NDArray[np.float32]:
    """P* of each frame (T,): the labels that came with the data, else t/(T−1) of a success, else NaN (unknown)."""
    given = episode.extras.get("progress")
    if given is not None and np.isfinite(given).any():
        return np.asarray(given[:, 0], np.float32)
    if episode.success:
        return np.linspace(0, 1, episode.length, dtype=np.float32)
    return np.full(episode.length, np.nan, np.float32)


def split_of(position: int) -> Split:
    """Every tenth episode (by position among those of its task) is held out and never trained on."""
    return "held_out" if position % HELD_OUT_EVERY == HELD_OUT_EVERY - 1 else "train"


def split_episodes(store: Store, split: Split) -> list[Episode]:
    """The episodes of a split; every part that is trained, encoders included, keeps to the same one."""
    return of_split(store, split)


def of_split(episodes: Iterable[AnyEpisode], split: Split) -> list[AnyEpisode]:
    """Those of a dataset's episodes, given in its order, that belong to a split."""
    seen: dict[tuple[str | None, bool | None], int] = {}
    chosen: list[AnyEpisode] = []
    for episode in episodes:
        key = (episode.task, episode.success)
        seen[key] = seen.get(key, -1) + 1
        if split_of(seen[key]) == split:
            chosen.append(episode)
    return chosen
