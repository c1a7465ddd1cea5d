from __future__ import annotations

import pickle

import numpy as np

from pvla.datasets.sampling.starts import StartCache

PICTURE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
A, B, C = (0, 0, "head"), (0, 1, "head"), (1, 0, "head")


def test_what_is_kept_is_a_copy() -> None:
    cache, picture = StartCache(1000), PICTURE.copy()
    cache.put(A, picture)
    picture[:] = 0
    assert (cache.get(A) == PICTURE).all()
    assert cache.get(B) is None
    assert cache.get(None) is None


def test_what_was_used_longest_ago_goes_first() -> None:
    cache = StartCache(2 * PICTURE.nbytes)
    cache.put(A, PICTURE)
    cache.put(B, PICTURE)
    cache.get(A)
    cache.put(C, PICTURE)
    assert [cache.get(key) is not None for key in (A, B, C)] == [True, False, True]


def test_putting_again_takes_no_more_room() -> None:
    cache = StartCache(2 * PICTURE.nbytes)
    cache.put(A, PICTURE)
    for _ in range(5):
        cache.put(B, PICTURE)
    assert cache.get(A) is not None


def test_no_room_keeps_nothing() -> None:
    cache = StartCache(0)
    cache.put(A, PICTURE)
    assert cache.get(A) is None


def test_a_worker_begins_with_none_and_the_same_room() -> None:
    cache = StartCache(PICTURE.nbytes)
    cache.put(A, PICTURE)
    other = pickle.loads(pickle.dumps(cache))
    assert other.get(A) is None
    other.put(B, PICTURE)
    other.put(C, PICTURE)
    assert [other.get(key) is not None for key in (B, C)] == [False, True]
