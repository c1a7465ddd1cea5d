from __future__ import annotations

from collections.abc import Callable

from pvla.datasets.schema import EpisodeEntry
from pvla.datasets.store import Store
from pvla.datasets.summary import TaskCount, count_tasks, document


def entry(task: str | None, success: bool | None, instruction: str = "x") -> EpisodeEntry:
    return EpisodeEntry(id="e", shard="s", length=4, instruction=instruction, task=task, success=success)


def test_tasks_are_counted() -> None:
    entries = [entry("a", True), entry("a", False, "y"), entry("a", None), entry(None, True)]
    assert count_tasks(entries) == [TaskCount("", 1, 4, 1, 0, 0, 1), TaskCount("a", 3, 12, 1, 1, 1, 2)]


def test_the_document_adds_up(make_store: Callable[..., Store]) -> None:
    store = make_store(["a", "b", "c"], per_shard=2)
    found = document(store)
    assert (found["frames"], found["seconds"], found["shards"], found["shortest"], found["longest"]) == (
        15,
        1.5,
        2,
        5,
        5,
    )
    assert found["bytes"] == sum(file.stat().st_size for file in store.path.rglob("*") if file.is_file())
    assert [episode["id"] for episode in found["episodes"]] == ["a", "b", "c"]
    assert len(found["statistics"]["action"]["q99"]) == 3
