from __future__ import annotations

import contextlib
import io
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pvla.datasets.index import INDEX, sealed_shards
from pvla.datasets.schema import DatasetInfo
from pvla.datasets.store import Episode, ShardFiles, Store
from pvla.datasets.writer import StoreWriter
from pvla.errors import InputError

MakeStore = Callable[..., Store]


class Counter(io.FileIO):
    read_bytes = 0

    def readinto(self, buffer: object) -> int:
        count = super().readinto(buffer)  # type: ignore[arg-type]
        self.read_bytes += count or 0
        return count or 0


def test_one_frame_is_read_without_the_rest(tmp_path: Path, info: DatasetInfo, record: Callable[..., None]) -> None:
    with StoreWriter(tmp_path, info) as writer:
        record(writer, "long", frames=400)
    counters: list[Counter] = []

    def counting(path: Path) -> h5py.File:
        counters.append(Counter(path))
        return h5py.File(counters[-1], "r")

    entry = Store.open(tmp_path).info.episodes[0]
    episode = Episode(ShardFiles(tmp_path / "shards", counting), entry)
    image = episode.image("head", 250)
    size = (tmp_path / "shards" / entry.shard).stat().st_size
    assert image.shape == (32, 48, 3)
    assert size > 1_000_000
    assert counters[0].read_bytes < 100_000  # HDF5 keeps frames in heaps of up to 64 KiB, and reads one
    before = counters[0].read_bytes
    assert len(episode.jpeg("head", 17)) < counters[0].read_bytes - before < 80_000


def test_order_is_by_id(make_store: MakeStore) -> None:
    assert [episode.id for episode in make_store(["c", "a", "b"], per_shard=1)] == ["a", "b", "c"]


def test_content_hash_does_not_depend_on_the_shards(make_store: MakeStore) -> None:
    first = make_store(["a", "b", "c"], "first", per_shard=1)
    second = make_store(["c", "b", "a"], "second", per_shard=3)
    assert first.content_hash() == second.content_hash()
    assert first.content_hash() != make_store(["a", "b"], "third").content_hash()


@pytest.mark.parametrize("column", ["action", "state", "timestamp", "extras/tcp"])
def test_content_hash_sees_one_changed_number(make_store: MakeStore, column: str) -> None:
    store = make_store(["a"])
    before = store.content_hash()
    store.close()
    with h5py.File(sealed_shards(store.path)[0], "r+") as file:
        file["a"][column][1] += 1e-3
    assert Store.open(store.path).content_hash() != before


def test_pickled_and_forked_stores_read(make_store: MakeStore) -> None:
    store = make_store()
    expected = store[1].action
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(store))[1].action, expected)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=lambda: queue.put(store[1].action))
    child.start()
    np.testing.assert_array_equal(queue.get(timeout=20), expected)
    child.join()


def test_few_files_are_open_at_a_time(make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pvla.datasets.store._MAX_OPEN", 2)
    with make_store([f"e{n}" for n in range(5)], per_shard=1) as store:
        for episode in [*store, *store]:
            assert episode.action.shape == (5, 3)
        assert len(store._files._open) == 2


def test_dataset_without_state(tmp_path: Path, info: DatasetInfo) -> None:
    info = info.model_copy(update={"state_names": [], "cameras": []})
    with StoreWriter(tmp_path, info) as writer, writer.episode("a", "x") as episode:
        for t in range(2):
            episode.add({}, np.zeros(3), None, t)
        episode.finish()
    (read,) = Store.open(tmp_path)
    assert read.state.shape == (2, 0)
    assert read.success is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "cannot be read as JSON"),
        (b"[1]", "malformed at the whole file"),
        (b'{"schema_version": 1}', "malformed at name"),
        (b'{"schema_version": 2, "new": 1}', "schema version 2, this pvla reads up to 1: update pvla"),
    ],
)
def test_a_malformed_index_is_refused(make_store: MakeStore, text: bytes, message: str) -> None:
    store = make_store()
    (store.path / INDEX).write_bytes(text)
    with pytest.raises(InputError, match=message):
        Store.open(store.path)


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no pvla dataset: it has no dataset\.json"):
        Store.open(tmp_path / "nowhere")


def test_a_shard_name_cannot_leave_the_folder(make_store: MakeStore) -> None:
    store = make_store(["a"])
    index = store.path / INDEX
    index.write_text(index.read_text().replace('"shard": "shard-00000.h5"', '"shard": "../../x.h5"'))
    with pytest.raises(InputError, match=r"malformed at episodes\.0\.shard"):
        Store.open(store.path)


def test_missing_and_truncated_shards_are_named(make_store: MakeStore) -> None:
    store = make_store()
    _, second = sealed_shards(store.path)
    second.write_bytes(second.read_bytes()[: second.stat().st_size // 2])
    with pytest.raises(InputError, match=r"shard-00001\.h5 is truncated or damaged.*pvla data validate"):
        Store.open(store.path)
    second.unlink()
    with pytest.raises(InputError, match=r"shard-00001\.h5 is missing"):
        Store.open(store.path)


def test_an_undecodable_frame_is_named(make_store: MakeStore) -> None:
    store = make_store(["a"])
    with h5py.File(sealed_shards(store.path)[0], "r+") as file:
        file["a/images/head"][2] = np.frombuffer(b"no jpeg", np.uint8)
        file["a/images/wrist"][1] = np.empty(0, np.uint8)
    episode = Store.open(store.path).episode("a")
    with pytest.raises(InputError, match="Episode a: frame 2 of camera head"):
        episode.image("head", 2)
    with pytest.raises(InputError, match="frame 1 of camera wrist"):
        episode.images("wrist")
    with pytest.raises(InputError, match="frame 0 of camera left"):
        episode.image("left", 0)
    with pytest.raises(IndexError):
        episode.image("head", 5)


def test_unknown_episode(make_store: MakeStore) -> None:
    with pytest.raises(InputError, match="has no episode zz"):
        make_store().episode("zz")


def test_flipped_bytes_never_end_in_anything_but_input_error(make_store: MakeStore) -> None:
    store = make_store(["a", "b"])
    shard = sealed_shards(store.path)[0]
    whole = shard.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(40):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] ^= 1 << int(rng.integers(8))
        shard.write_bytes(damaged)
        with contextlib.suppress(InputError):
            Store.open(store.path).content_hash()
