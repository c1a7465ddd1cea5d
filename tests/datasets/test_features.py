from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pvla.datasets import files
from pvla.datasets.features import FeatureStore, FeatureWriter
from pvla.datasets.store import Store
from pvla.errors import InputError, RunFault

MakeStore = Callable[..., Store]


def patches(seed: int, length: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(length, 4, 6)).astype(np.float16)


def test_round_trip(tmp_path: Path) -> None:
    with FeatureWriter(tmp_path, "abc123", shard_bytes=400) as writer:
        for n in range(5):
            writer.add(f"e{n}", patches(n))
    features = FeatureStore(tmp_path, "abc123")
    assert features.ids == [f"e{n}" for n in range(5)]
    assert len(list((tmp_path / "features" / "abc123").glob("shard-*.h5"))) == 3
    np.testing.assert_array_equal(features.patches("e3"), patches(3))
    np.testing.assert_array_equal(features.patches("e3", 2), patches(3)[2])
    np.testing.assert_array_equal(features.patches("e3", slice(1, 3)), patches(3)[1:3])
    assert (features.patches("e0").dtype, features.length("e0")) == (np.float16, 5)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(features)).patches("e1"), patches(1))
    features.close()


def test_missing_features_are_listed(make_store: MakeStore) -> None:
    store = make_store(["a", "b", "c"])
    assert FeatureStore(store.path, "k").missing(store) == ["a", "b", "c"]
    with FeatureWriter(store.path, "k") as writer:
        writer.add("a", patches(0))
        writer.add("b", patches(0, length=3))
    features = FeatureStore(store.path, "k")
    assert features.missing(store) == ["b", "c"]
    assert "a" in features
    with pytest.raises(InputError, match="Episode c has no features"):
        features.patches("c")
    with pytest.raises(IndexError):
        features.patches("a", 5)


def test_computed_again_replaces(tmp_path: Path) -> None:
    for seed in (0, 1):
        with FeatureWriter(tmp_path, "k") as writer:
            writer.add("a", patches(seed))
    np.testing.assert_array_equal(FeatureStore(tmp_path, "k").patches("a"), patches(1))


def test_instructions(tmp_path: Path) -> None:
    writer = FeatureWriter(tmp_path, "k")
    assert FeatureStore(tmp_path, "k").instructions == {}
    tokens = np.arange(12, dtype=np.float16).reshape(3, 4)
    writer.add_instructions({"stack the bowls": tokens, "öffne die Schublade": tokens + 1})
    writer.add_instructions({"stack the bowls": tokens + 2})
    table = FeatureStore(tmp_path, "k").instructions
    assert set(table) == {"stack the bowls", "öffne die Schublade"}
    np.testing.assert_array_equal(table["stack the bowls"], tokens + 2)
    assert table["stack the bowls"].dtype == np.float16
    with pytest.raises(InputError, match="not all of one shape"):
        writer.add_instructions({"x": np.zeros((2, 4))})


@pytest.mark.parametrize("rows", [np.zeros((2, 3)), np.full((2, 3, 4), np.nan), np.full((2, 3, 4), 1e6)])
@pytest.mark.filterwarnings("ignore:overflow")
def test_what_is_no_features_is_refused(tmp_path: Path, rows: np.ndarray) -> None:
    with pytest.raises(InputError, match="Features of episode a"):
        FeatureWriter(tmp_path, "k").add("a", rows)


@pytest.mark.parametrize("key", ["../x", "", "a/b"])
def test_a_key_cannot_leave_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(InputError, match="under the key"):
        FeatureWriter(tmp_path, key)


def test_damaged_features_are_named(tmp_path: Path) -> None:
    with FeatureWriter(tmp_path, "k") as writer:
        writer.add("a", patches(0))
        writer.add_instructions({"x": np.zeros((1, 2))})
    for file in (tmp_path / "features" / "k").glob("*.h5"):
        whole = file.read_bytes()
        file.write_bytes(whole[:700])
        with pytest.raises(InputError, match=rf"Features .*{file.name} are missing or damaged.*compute them again"):
            FeatureStore(tmp_path, "k")
        file.write_bytes(whole)


def test_disk_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FeatureWriter(tmp_path, "k", shard_bytes=1) as writer:
        writer.add("a", patches(0))

        def full(handle: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(files.os, "write", full)
        with pytest.raises(RunFault, match="disk is full"):
            writer.add("b", patches(1))
    assert FeatureStore(tmp_path, "k").ids == ["a"]


def _compute(path: Path) -> None:
    with FeatureWriter(path, "k", shard_bytes=4000) as writer:
        for n in range(2000):
            writer.add(f"e{n}", patches(n % 7))


def test_killed_at_any_moment(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(8):
        process = multiprocessing.get_context("fork").Process(target=_compute, args=(tmp_path,))
        process.start()
        time.sleep(float(rng.uniform(0.02, 0.1)))
        process.kill()
        process.join()
        features = FeatureStore(tmp_path, "k")
        for id in features.ids[::10]:
            np.testing.assert_array_equal(features.patches(id), patches(int(id[1:]) % 7))
    FeatureWriter(tmp_path, "k").close()
    assert not list((tmp_path / "features" / "k").glob(".*"))
