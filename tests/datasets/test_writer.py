from __future__ import annotations

import errno
import multiprocessing
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pvla.datasets import files
from pvla.datasets.files import DiskFull
from pvla.datasets.index import rebuild_index, sealed_shards
from pvla.datasets.schema import DatasetInfo
from pvla.datasets.store import Store
from pvla.datasets.writer import StoreWriter
from pvla.errors import InputError, RunFault

Record = Callable[..., None]


def frame(value: int = 0) -> dict[str, np.ndarray]:
    return {"head": np.full((32, 48, 3), value, np.uint8), "wrist": np.full((16, 16, 3), value, np.uint8)}


def test_what_was_written_is_read(tmp_path: Path, info: DatasetInfo) -> None:
    actions = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    with StoreWriter(tmp_path, info) as writer, writer.episode("one", "stack", "stack_bowls", "src/1") as episode:
        for t in range(4):
            extras = {"tcp": [1, 2, t]} if t != 2 else None
            episode.add(frame(10 * t), actions[t], actions[t] / 2, t * 0.1, extras)
        episode.finish(success=False)
    (read,) = Store.open(tmp_path)
    assert (read.instruction, read.task, read.success, read.length) == ("stack", "stack_bowls", False, 4)
    assert (read.entry.source_id, read.entry.interrupted) == ("src/1", False)
    assert (read.action.dtype, read.timestamp.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(read.action, actions)
    np.testing.assert_array_equal(read.state, actions / 2)
    np.testing.assert_array_equal(read.timestamp, np.arange(4) * 0.1)
    np.testing.assert_array_equal(read.extras["tcp"][:, 2], [0, 1, np.nan, 3])
    assert set(read.extras) == {"tcp"}
    assert read.images("head").shape == (4, 32, 48, 3)
    assert abs(int(read.image("wrist", 3)[0, 0, 0]) - 30) <= 2


def test_buffers_of_the_caller_may_be_reused(tmp_path: Path, info: DatasetInfo) -> None:
    action = np.zeros(3, np.float32)
    with StoreWriter(tmp_path, info) as writer, writer.episode("one", "x") as episode:
        for t in range(3):
            action[:] = t
            episode.add(frame(), action, action, t)
        episode.finish()
    np.testing.assert_array_equal(Store.open(tmp_path)[0].action[:, 0], [0, 1, 2])


def test_jpeg_bytes_are_kept_as_they_are(tmp_path: Path, info: DatasetInfo, make_store: Callable[..., Store]) -> None:
    data = make_store(["a"]).episode("a").jpeg("head", 0)
    with StoreWriter(tmp_path / "copy", info) as writer, writer.episode("one", "x") as episode:
        for t in range(2):
            episode.add({**frame(), "head": data}, np.zeros(3), np.zeros(3), t)
        episode.finish()
    assert Store.open(tmp_path / "copy")[0].jpeg("head", 1) == data


def test_hindsight_column(tmp_path: Path, info: DatasetInfo) -> None:
    with StoreWriter(tmp_path, info) as writer, writer.episode("one", "x") as episode:
        for t in range(3):
            episode.add(frame(), np.zeros(3), np.zeros(3), t)
        with pytest.raises(InputError, match=r"extras/progress of shape \(2, 1\)"):
            episode.set_extra("progress", np.zeros((2, 1)))
        episode.set_extra("progress", [[0], [0.25], [0.5]])
        episode.finish(False)
    np.testing.assert_array_equal(Store.open(tmp_path)[0].extras["progress"][:, 0], [0, 0.25, 0.5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": {"head": np.zeros((32, 48, 3), np.uint8)}}, "no image of camera wrist at frame 0"),
        ({"images": {**frame(), "left": np.zeros((2, 2, 3), np.uint8)}}, "camera left"),
        ({"images": {**frame(), "head": np.zeros((48, 32, 3), np.uint8)}}, r"shape \(48, 32, 3\) of camera head"),
        ({"images": {**frame(), "head": np.zeros((32, 48, 3))}}, "float64 image"),
        ({"action": np.zeros(2)}, r"action of shape \(2,\)"),
        ({"state": None}, r"state of shape \(0,\)"),
        ({"extras": {"speed": [1]}}, "extra speed"),
        ({"extras": {"tcp": [1]}}, "extras/tcp"),
    ],
)
def test_wrong_frames_are_refused_and_leave_no_trace(
    tmp_path: Path, info: DatasetInfo, change: dict[str, object], message: str
) -> None:
    arguments = {"images": frame(), "action": np.zeros(3), "state": np.zeros(3), "timestamp": 0.0, **change}
    with StoreWriter(tmp_path, info) as writer:
        episode = writer.episode("one", "x")
        with pytest.raises(InputError, match=message):
            episode.add(**arguments)  # type: ignore[arg-type]
        assert episode.length == 0
        for t in range(2):
            episode.add(frame(), np.zeros(3), np.zeros(3), t)
        episode.finish()
    assert Store.open(tmp_path)[0].images("head").shape[0] == 2


@pytest.mark.parametrize("id", ["a/b", "..", "", ".hidden", "x" * 300, "a b"])
def test_ids_that_could_nest_or_escape_are_refused(tmp_path: Path, info: DatasetInfo, id: str) -> None:
    with StoreWriter(tmp_path, info) as writer, pytest.raises(InputError, match="Episode id"):
        writer.episode(id, "x")


def test_an_id_is_taken_once(tmp_path: Path, info: DatasetInfo, record: Record) -> None:
    with StoreWriter(tmp_path, info) as writer:
        record(writer, "one")
        with pytest.raises(InputError, match="already has an episode one"):
            writer.episode("one", "x")
    with StoreWriter.resume(tmp_path) as writer, pytest.raises(InputError, match="already has an episode one"):
        writer.episode("one", "x")


def test_an_episode_of_one_frame_is_refused(tmp_path: Path, info: DatasetInfo) -> None:
    with StoreWriter(tmp_path, info) as writer, writer.episode("one", "x") as episode:
        episode.add(frame(), np.zeros(3), np.zeros(3), 0)
        with pytest.raises(InputError, match="has 1 frame, an episode needs 2"):
            episode.finish()
    assert len(Store.open(tmp_path)) == 0


def test_ctrl_c_keeps_whole_episodes_and_drops_the_current_one(
    tmp_path: Path, info: DatasetInfo, record: Record
) -> None:
    def interrupted() -> None:
        with StoreWriter(tmp_path, info) as writer:
            record(writer, "one")
            with writer.episode("two", "x") as episode:
                episode.add(frame(), np.zeros(3), np.zeros(3), 0)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [episode.id for episode in Store.open(tmp_path)] == ["one"]


def test_a_stopped_recording_says_that_it_was_interrupted(tmp_path: Path, info: DatasetInfo) -> None:
    with StoreWriter(tmp_path, info, episodes_per_shard=1) as writer, writer.episode("run", "x") as episode:
        for t in range(3):
            episode.add(frame(), np.zeros(3), np.zeros(3), t)
        episode.finish(None, interrupted=True)
        assert len(sealed_shards(tmp_path)) == 1  # at once, not at close
    assert Store.open(tmp_path)[0].entry.interrupted


def test_shards_hold_the_number_of_episodes_asked_for(make_store: Callable[..., Store]) -> None:
    store = make_store([f"e{n}" for n in range(5)], per_shard=2)
    assert [len([e for e in store.info.episodes if e.shard == s]) for s in sorted(store.info.shards)] == [2, 2, 1]


def test_a_second_writer_must_agree(tmp_path: Path, info: DatasetInfo) -> None:
    StoreWriter(tmp_path, info).close()
    StoreWriter(tmp_path, info).close()
    with pytest.raises(InputError, match="already holds another dataset"):
        StoreWriter(tmp_path, info.model_copy(update={"fps": 20.0}))


def test_a_file_cannot_be_a_dataset(tmp_path: Path, info: DatasetInfo) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be a dataset's folder"):
        StoreWriter(tmp_path / "file", info)


def test_two_writers_with_one_prefix_lose_nothing(tmp_path: Path, info: DatasetInfo, record: Record) -> None:
    first, second = (StoreWriter(tmp_path, info, episodes_per_shard=1) for _ in range(2))
    for n in range(4):
        record(first, f"first-{n}")
        record(second, f"second-{n}")
    first.close()
    second.close()
    assert len(Store.open(tmp_path)) == 8


def _work(path: Path, info: DatasetInfo, record: Record, worker: int) -> None:
    prefix = f"w{worker % 2}"  # two of the three share one
    with StoreWriter(path, info, shard_prefix=prefix, episodes_per_shard=2, index_on_close=False) as writer:
        for n in range(7):
            record(writer, f"{worker}-{n}")


def test_several_processes_write_at_once(tmp_path: Path, info: DatasetInfo, record: Record) -> None:
    StoreWriter(tmp_path, info).close()
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_work, args=(tmp_path, info, record, n)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    stale = Store.open(tmp_path)
    rebuilt = rebuild_index(tmp_path)
    fresh = Store.open(tmp_path)
    assert len(stale) == len(fresh) == 21
    assert stale.content_hash() == fresh.content_hash()
    assert stale.statistics() == rebuilt.statistics == fresh.statistics()


def test_resume_forgets_episodes_of_a_lost_shard(make_store: Callable[..., Store], record: Record) -> None:
    store = make_store(["a", "b", "c"], per_shard=1)
    before = store.content_hash()
    (store.path / "shards" / store.episode("b").entry.shard).unlink()
    with StoreWriter.resume(store.path) as writer:
        assert writer.ids == {"a", "c"}
        record(writer, "b")
    assert Store.open(store.path).content_hash() == before


def test_resume_refuses_a_truncated_shard(make_store: Callable[..., Store]) -> None:
    store = make_store()
    shard = sealed_shards(store.path)[0]
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(InputError, match="truncated or damaged"):
        StoreWriter.resume(store.path)


def test_leftovers_of_the_dead_go_and_of_the_living_stay(tmp_path: Path) -> None:
    (tmp_path / ".dead.tmp").write_bytes(b"x")
    handle = files._create_locked(tmp_path / ".alive.tmp")
    assert files.remove_leftovers(tmp_path) == 1
    assert [file.name for file in tmp_path.iterdir()] == [".alive.tmp"]
    os.close(handle)


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """After a call, files together may take that many bytes more."""
    write = os.write

    def limit(budget: int) -> None:
        left = [budget]

        def limited(handle: int, data: bytes) -> int:
            if len(data) > left[0]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            left[0] -= len(data)
            return write(handle, data)

        monkeypatch.setattr(files.os, "write", limited)

    return limit


def test_disk_full_keeps_what_was_sealed(
    tmp_path: Path, info: DatasetInfo, record: Record, small_disk: Callable[[int], None]
) -> None:
    def fill() -> None:
        with StoreWriter(tmp_path, info, episodes_per_shard=2) as writer:
            for id in "abcd":
                if id == "c":
                    small_disk(1000)
                record(writer, id)

    with pytest.raises(RunFault, match="disk is full"):
        fill()
    assert [episode.id for episode in Store.open(tmp_path)] == ["a", "b"]
    assert not list((tmp_path / "shards").glob(".*"))


def test_disk_full_keeps_the_first_episodes_that_fit(
    tmp_path: Path, info: DatasetInfo, record: Record, small_disk: Callable[[int], None]
) -> None:
    writer = StoreWriter(tmp_path, info)
    for id in "abc":
        record(writer, id, frames=10)
    small_disk(90_000)
    with pytest.raises(DiskFull, match="this was kept: 1 of 3 episodes"):
        writer.flush()
    assert [(episode.id, episode.length) for episode in Store.open(tmp_path)] == [("a", 10)]


def test_disk_full_keeps_the_first_frames_that_fit(
    tmp_path: Path, info: DatasetInfo, record: Record, small_disk: Callable[[int], None]
) -> None:
    writer = StoreWriter(tmp_path, info, episodes_per_shard=1)
    small_disk(100_000)
    with pytest.raises(DiskFull, match="kept: the first 10 of 40 frames of episode run") as raised, writer:
        record(writer, "run", frames=40)
    assert raised.value.exit_code == 2
    (episode,) = Store.open(tmp_path)
    assert (episode.length, episode.success, episode.entry.interrupted) == (10, None, True)
    assert episode.images("head").shape[0] == 10


def test_other_write_failures_are_one_sentence(
    tmp_path: Path, info: DatasetInfo, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(handle: int, data: bytes) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    writer = StoreWriter(tmp_path, info)
    record(writer, "a")
    monkeypatch.setattr(files.os, "write", broken)
    with pytest.raises(RunFault, match="Input/output error"):
        writer.close()
    assert len(Store.open(tmp_path)) == 0


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_real_full_disk(tiny_disk: Path, info: DatasetInfo, record: Record) -> None:
    def fill() -> None:
        with StoreWriter(tiny_disk, info, episodes_per_shard=1) as writer:
            for n in range(100):
                record(writer, f"e{n:02}")

    with pytest.raises(DiskFull):
        fill()
    store = Store.open(tiny_disk)
    assert len(store) >= 2
    assert store.content_hash()
