"""What was used last, kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Values by key, those used last, up to a weight in all; a pickled copy is empty.

    Args:
        limit: what they may weigh in all.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._weight = 0

    def get(self, key: Key) -> Value | None:
        """The value of this key, if it is kept."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def put(self, key: Key, value: Value, weight: int) -> None:
        """Keep a value under a key that has none, and let go of those that were used longest ago."""
        if key in self._kept:
            return
        self._kept[key] = value, weight
        self._weight += weight
        while self._weight > self._limit:
            self._weight -= self._kept.popitem(last=False)[1][1]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._limit,)
