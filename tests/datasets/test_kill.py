"""A writer that is killed at any moment leaves a whole dataset, and resumes to the same content."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pvla.datasets.schema import DatasetInfo
from pvla.datasets.store import Store
from pvla.datasets.validate import validate
from pvla.datasets.writer import StoreWriter

IDS = [f"e{n:03}" for n in range(30)]
Record = Callable[..., None]


def record_rest(path: Path, record: Record) -> None:
    with StoreWriter.resume(path, episodes_per_shard=3) as writer:
        for id in IDS:
            if id not in writer.ids:
                record(writer, id)


def record_until_killed(path: Path, record: Record, seconds: float) -> bool:
    """Record in another process, killed after some time; says whether the kill came before the end."""
    process = multiprocessing.get_context("fork").Process(target=record_rest, args=(path, record))
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def check_kills(path: Path, info: DatasetInfo, record: Record, kills: int) -> None:
    with StoreWriter(path / "uninterrupted", info) as writer:
        for id in IDS:
            record(writer, id)
    expected = {episode.id: episode.content_hash() for episode in Store.open(path / "uninterrupted")}
    rng = np.random.default_rng(0)
    killed = attempt = 0
    while killed < kills:
        attempt += 1
        dataset = path / f"killed-{attempt}"
        StoreWriter(dataset, info).close()
        while killed < kills and record_until_killed(dataset, record, float(rng.uniform(0.0, 0.1))):
            killed += 1
            store = Store.open(dataset)
            assert all(episode.content_hash() == expected[episode.id] for episode in store)
            problems = [problem.what for problem in validate(dataset) if problem.level == "error"]
            assert problems in ([], ["the dataset has no episodes"])
        record_rest(dataset, record)
        assert {episode.id: episode.content_hash() for episode in Store.open(dataset)} == expected
        assert not validate(dataset)
        assert not list((dataset / "shards").glob(".*"))


def test_a_dozen_kills(tmp_path: Path, info: DatasetInfo, record: Record) -> None:
    check_kills(tmp_path, info, record, 12)


@pytest.mark.slow
def test_fifty_kills(tmp_path: Path, info: DatasetInfo, record: Record) -> None:
    check_kills(tmp_path, info, record, 50)
