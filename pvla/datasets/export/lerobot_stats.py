"""Statistics as LeRobot keeps them: of each feature, by episode and over all.

Quantiles over all are those of all numbers together (see `pvla.datasets.statistics`); LeRobot's own writer merges those
of the episodes. Numbers of frames in which one of them is not finite are left out.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pvla.datasets.statistics import RunningStatistics

QUANTILES: Final = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_FEW: Final = 100
_MANY: Final = 10_000
_LARGE: Final = 300  # pixels a side from which on not every pixel is counted
_SMALL: Final = 150

Stats = dict[str, Any]
Histogram = npt.NDArray[np.int64]
"""(3, 256): how often each value is in each channel."""


def of_column(running: RunningStatistics) -> Stats:
    """The statistics of a column (n,); zeros, and a count of 0, if no frame was finite."""
    width = len(running.mean)
    if not running.count:
        return {name: [0.0] * width for name in ("min", "max", "mean", "std", *QUANTILES)} | {"count": [0]}
    stats = running.result()
    quantiles = {name: [digest.quantile(q) for digest in running.digests] for name, q in QUANTILES.items()}
    moments = {"min": stats.min, "max": stats.max, "mean": stats.mean, "std": stats.std}
    return moments | {"count": [stats.count]} | quantiles


def sampled(length: int) -> set[int]:
    """Which of an episode's pictures are counted: all of up to 100, then ever fewer, spread evenly."""
    count = max(min(length, _FEW), min(int(length**0.75), _MANY))
    return set(np.linspace(0, length - 1, count).round().astype(int).tolist())


def histogram(picture: npt.NDArray[np.uint8]) -> Histogram:
    """Of u8 (h, w, 3); of a large picture only every n-th pixel a side."""
    longest = max(picture.shape[:2])
    step = max(longest // _SMALL, 1) if longest >= _LARGE else 1
    pixels = picture[::step, ::step].reshape(-1, 3)
    return np.stack([np.bincount(pixels[:, channel], minlength=256) for channel in range(3)])


def of_pictures(counts: Histogram, pictures: int) -> Stats:
    """The statistics of pictures, values 0..1, each of shape (3, 1, 1)."""
    values = np.arange(256) / 255
    total = counts.sum(axis=1)
    mean = counts @ values / total
    std = np.sqrt(np.maximum(counts @ values**2 / total - mean**2, 0))
    seen = counts > 0
    low = values[seen.argmax(axis=1)]
    high = values[255 - seen[:, ::-1].argmax(axis=1)]
    shares = np.cumsum(counts, axis=1) / total[:, None]
    stats = {"min": low, "max": high, "mean": mean, "std": std}
    stats |= {name: values[(shares >= q).argmax(axis=1)] for name, q in QUANTILES.items()}
    return {name: row.reshape(3, 1, 1).tolist() for name, row in stats.items()} | {"count": [pictures]}
