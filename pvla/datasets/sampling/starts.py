"""First pictures of episodes, kept once they are decoded: every sample of an episode has its o_0 again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Start = tuple[int, int, str]
"""Whose o_0: the place of the dataset, the place of the episode therein, the camera."""

KEPT_BYTES: Final = 128 << 20  # in each worker: 890 pictures of 224 px


class StartCache:
    """The pictures that were used last, up to a number of bytes in all; a pickled copy is empty.

    It helps as far as a dataset's first pictures fit: with k of its n episodes kept, a share k / n of them is found.

    Args:
        max_bytes: what they may take in all; 0 keeps none.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Start, npt.NDArray[np.uint8]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Start | None) -> npt.NDArray[np.uint8] | None:
        """The picture of this key, u8 (size, size, 3), if it is kept."""
        if key is None or key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def put(self, key: Start, picture: npt.NDArray[np.uint8]) -> None:
        """Keep a copy of the picture, and let go of those that were used longest ago."""
        if key in self._kept:
            return
        self._kept[key] = picture.copy()
        self._bytes += picture.nbytes
        while self._bytes > self._max_bytes:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes

    def __getstate__(self) -> dict[str, Any]:
        return {"max_bytes": self._max_bytes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        StartCache.__init__(self, **state)
