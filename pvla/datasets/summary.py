"""What a dataset holds, in numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pvla.datasets import index
from pvla.datasets.schema import EpisodeEntry
from pvla.datasets.store import Store


@dataclass(frozen=True)
class TaskCount:
    """How many episodes of one task there are, and how they ended; "" is the task of episodes without one."""

    task: str
    episodes: int
    frames: int
    successes: int
    failures: int
    unknown: int
    wordings: int


def count_tasks(entries: Iterable[EpisodeEntry]) -> list[TaskCount]:
    """The counts of every task, by its name."""
    by_task: dict[str, list[EpisodeEntry]] = {}
    for entry in entries:
        by_task.setdefault(entry.task or "", []).append(entry)
    return [_count(task, found) for task, found in sorted(by_task.items())]


def _count(task: str, entries: list[EpisodeEntry]) -> TaskCount:
    ends = [entry.success for entry in entries]
    return TaskCount(
        task=task,
        episodes=len(entries),
        frames=sum(entry.length for entry in entries),
        successes=ends.count(True),
        failures=ends.count(False),
        unknown=ends.count(None),
        wordings=len({entry.instruction for entry in entries}),
    )


def bytes_on_disk(store: Store) -> int:
    """Bytes of all files of the dataset, features included."""
    return sum(file.stat().st_size for file in store.path.rglob("*") if file.is_file())


def document(store: Store) -> dict[str, Any]:
    """All that `pvla data info --json` tells.

    Raises:
        InputError: the statistics are not in the index, and a shard is damaged.
    """
    info = store.info
    lengths = [entry.length for entry in info.episodes]
    return {
        "schema_version": info.schema_version,
        "path": store.path,
        **info.without_index().model_dump(exclude={"schema_version", "statistics", "shards", "episodes", "tasks"}),
        "bytes": bytes_on_disk(store),
        "shards": len(index.sealed_shards(store.path)),
        "frames": store.frames,
        "seconds": store.frames / info.fps,
        "shortest": min(lengths, default=0),
        "longest": max(lengths, default=0),
        "interrupted": sum(entry.interrupted for entry in info.episodes),
        "tasks": [vars(count) for count in count_tasks(info.episodes)],
        "statistics": {name: column.model_dump() for name, column in store.statistics().items()},
        "episodes": [entry.model_dump() for entry in info.episodes],
    }
