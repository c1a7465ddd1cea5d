from __future__ import annotations

import pickle

from pvla.datasets.sampling.recent import Recent


def kept(recent: Recent[str, int], keys: str) -> list[bool]:
    return [recent.get(key) is not None for key in keys]


def test_a_key_gives_its_value_or_nothing() -> None:
    recent: Recent[str, int] = Recent(10)
    recent.put("a", 7, 3)
    assert (recent.get("a"), recent.get("b")) == (7, None)


def test_what_was_used_longest_ago_goes_first() -> None:
    recent: Recent[str, int] = Recent(20)
    recent.put("a", 1, 10)
    recent.put("b", 2, 10)
    recent.get("a")
    recent.put("c", 3, 10)
    assert kept(recent, "abc") == [True, False, True]


def test_a_heavy_one_takes_the_room_of_several() -> None:
    recent: Recent[str, int] = Recent(20)
    for key in "abcd":
        recent.put(key, 1, 5)
    recent.put("e", 2, 12)
    assert kept(recent, "abcde") == [False, False, False, True, True]


def test_putting_again_takes_no_more_room() -> None:
    recent: Recent[str, int] = Recent(20)
    recent.put("a", 1, 10)
    for _ in range(5):
        recent.put("b", 2, 10)
    assert kept(recent, "ab") == [True, True]


def test_no_room_keeps_nothing() -> None:
    recent: Recent[str, int] = Recent(0)
    recent.put("a", 1, 10)
    assert kept(recent, "a") == [False]


def test_a_pickled_copy_begins_with_none_and_has_the_same_room() -> None:
    recent: Recent[str, int] = Recent(10)
    recent.put("a", 1, 10)
    other = pickle.loads(pickle.dumps(recent))
    assert kept(other, "a") == [False]
    other.put("b", 2, 10)
    other.put("c", 3, 10)
    assert kept(other, "bc") == [False, True]
