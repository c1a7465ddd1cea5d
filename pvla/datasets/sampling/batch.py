"""A batch: what it holds, and how it lies in one piece of memory that two processes can share."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Layout = dict[str, tuple[tuple[int, ...], npt.DTypeLike]]
"""Shape and type of each array by name."""
PICTURES: Final = ("start", "now", "later")
_ALIGNMENT: Final = 64  # bytes; what NumPy and torch read fastest


@dataclass(frozen=True)
class Batch:
    """The samples of one step, B rows.

    Attributes:
        step: which; together with the seed and the settings it says everything about the content.
        instruction: what the arm was told, B texts.
        dataset: names of the datasets, B of them.
        episode: their ids in their datasets.
        arrays: by name (C cameras, H horizon, A and S the widths of the widest action and state of all datasets):
            start, now, later: pictures o_0, o_t, o_{t+N}, u8 RGB (B, C, size, size, 3).
            camera_is_missing: (B, C) bool: the dataset has no such camera, its pictures are black.
            action: a_{t:t+H} (B, H, A) f32, in the dataset's own units; columns that it does not have are 0.
            action_is_pad: (B, H) bool: past the episode's end, where the last action is held.
            action_dim: (B,) i64, how many columns of the action are the dataset's.
            state: (B, S) f32, state_dim: (B,) i64, likewise.
            gap_s: (B,) f32, the time from o_t to o_{t+N} in s by the episode's time stamps.
            progress_now, progress_later: labels (B,) f32, NaN where nobody knows.
            t, t_later: (B,) i64, the frames of now and later.
            dataset_index: (B,) i64, the dataset's place among those that are drawn from.

    The arrays can be written to, and `torch.from_numpy` takes them without a copy.
    """

    step: int
    instruction: list[str]
    dataset: list[str]
    episode: list[str]
    arrays: dict[str, Array]

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def __len__(self) -> int:
        return len(self.instruction)


def layout(rows: int, cameras: int, size: int, horizon: int, action_dim: int, state_dim: int) -> Layout:
    """The arrays of a batch."""
    whole: Layout = dict.fromkeys(PICTURES, ((rows, cameras, size, size, 3), np.uint8))
    whole |= {
        "camera_is_missing": ((rows, cameras), np.bool_),
        "action": ((rows, horizon, action_dim), np.float32),
        "action_is_pad": ((rows, horizon), np.bool_),
        "state": ((rows, state_dim), np.float32),
    }
    whole |= dict.fromkeys(("gap_s", "progress_now", "progress_later"), ((rows,), np.float32))
    return whole | dict.fromkeys(("action_dim", "state_dim", "t", "t_later", "dataset_index"), ((rows,), np.int64))


def nbytes(whole: Layout) -> int:
    """Bytes that the arrays take together, one behind the other."""
    return sum(_aligned(shape, dtype) for shape, dtype in whole.values())


def views(whole: Layout, memory: mmap.mmap | bytearray) -> dict[str, Array]:
    """The arrays over a piece of memory of `nbytes` bytes; it stays as long as one of them does."""
    arrays, offset = {}, 0
    for name, (shape, dtype) in whole.items():
        arrays[name] = np.frombuffer(memory, dtype, prod(shape), offset).reshape(shape)
        offset += _aligned(shape, dtype)
    return arrays


def _aligned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> int:
    size = prod(shape) * np.dtype(dtype).itemsize
    return -(-size // _ALIGNMENT) * _ALIGNMENT
