"""Streaming, mergeable statistics of columns: mean, std, min, max, 1 % and 99 % quantiles.

Moments merge by Chan, Golub and LeVeque's update (1983). Quantiles come from a t-digest (Dunning and Ertl,
2019, arXiv:1902.04023): up to `EXACT` values they are exact (linear interpolation, as numpy's); beyond,
neighbours are merged into about `CENTROIDS` points, finest at both ends, so that the rank of q01 and q99 is
right within about 0.0003. Frames with a value that is not finite are left out as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import numpy.typing as npt

from pvla.datasets.schema import Statistics
from pvla.datasets.shard import READ_ERRORS, damaged, open_shard

Floats = npt.NDArray[np.float64]
EXACT: Final = 8192
CENTROIDS: Final = 2000


class Digest:
    """A mergeable sketch of the distribution of one number."""

    def __init__(self) -> None:
        self._values: list[Floats] = []
        self._weights: list[Floats] = []
        self._size = 0

    def add(self, values: Floats, weights: Floats | None = None) -> None:
        """Take in `values` (n,), each standing for one number, or for `weights` (n,) of them."""
        self._values.append(values)
        self._weights.append(np.ones(len(values)) if weights is None else weights)
        self._size += len(values)
        if self._size > EXACT:
            self._compress()

    def merge(self, other: Digest) -> None:
        """Take in all that `other` has seen."""
        for values, weights in zip(other._values, other._weights, strict=True):
            self.add(values, weights)

    def quantile(self, q: float) -> float:
        """The value below which a share `q` of the numbers lies."""
        values, weights = self._sorted()
        rank = np.cumsum(weights) - (weights + 1) / 2  # of each centre, 0 .. count - 1
        return float(np.interp(q * (weights.sum() - 1), rank, values))

    def _sorted(self) -> tuple[Floats, Floats]:
        values, weights = np.concatenate(self._values), np.concatenate(self._weights)
        order = np.argsort(values, kind="stable")
        return values[order], weights[order]

    def _compress(self) -> None:
        values, weights = self._sorted()
        middle = (np.cumsum(weights) - weights / 2) / weights.sum()
        bins = np.floor(CENTROIDS * (np.arcsin(2 * middle - 1) / np.pi + 0.5))
        starts = np.flatnonzero(np.diff(bins, prepend=-1))
        merged = np.add.reduceat(weights, starts)
        self._values = [np.add.reduceat(values * weights, starts) / merged]
        self._weights = [merged]
        self._size = len(merged)


class RunningStatistics:
    """Statistics of a column of a given width, fed in pieces of any size, in any order."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.mean: Floats = np.zeros(width)
        self.squares: Floats = np.zeros(width)  # sum of squared distances to the mean
        self.min: Floats = np.full(width, np.inf)
        self.max: Floats = np.full(width, -np.inf)
        self.digests = [Digest() for _ in range(width)]

    def update(self, rows: npt.ArrayLike) -> None:
        """Take in `rows` (n, width)."""
        values = np.asarray(rows, np.float64).reshape(-1, len(self.mean))
        values = values[np.isfinite(values).all(axis=1)]
        if not len(values):
            return
        mean = values.mean(axis=0)
        self._merge_moments(len(values), mean, np.square(values - mean).sum(axis=0))
        self.min = np.minimum(self.min, values.min(axis=0))
        self.max = np.maximum(self.max, values.max(axis=0))
        for digest, column in zip(self.digests, values.T, strict=True):
            digest.add(column)

    def merge(self, other: RunningStatistics) -> None:
        """Take in all that `other` has seen."""
        if not other.count:
            return
        self._merge_moments(other.count, other.mean, other.squares)
        self.min = np.minimum(self.min, other.min)
        self.max = np.maximum(self.max, other.max)
        for mine, theirs in zip(self.digests, other.digests, strict=True):
            mine.merge(theirs)

    def result(self) -> Statistics:
        """The statistics so far.

        Raises:
            ValueError: no finite row was seen.
        """
        if not self.count:
            raise ValueError("statistics of nothing")
        return Statistics(
            mean=self.mean.tolist(),
            std=np.sqrt(self.squares / self.count).tolist(),
            min=self.min.tolist(),
            max=self.max.tolist(),
            q01=[digest.quantile(0.01) for digest in self.digests],
            q99=[digest.quantile(0.99) for digest in self.digests],
            count=self.count,
        )

    def _merge_moments(self, count: int, mean: Floats, squares: Floats) -> None:
        total = self.count + count
        delta = mean - self.mean
        self.squares = self.squares + squares + np.square(delta) * self.count * count / total
        self.mean = self.mean + delta * count / total
        self.count = total


class ColumnStatistics:
    """Statistics of `action`, `state` and every `extras/<name>` over many episodes."""

    def __init__(self) -> None:
        self.columns: dict[str, RunningStatistics] = {}

    def update(self, columns: dict[str, npt.NDArray[np.generic]]) -> None:
        """Take in one episode's columns (T, n) by name."""
        for name, rows in columns.items():
            self.columns.setdefault(name, RunningStatistics(rows.shape[1])).update(rows)

    def merge(self, other: ColumnStatistics) -> None:
        """Take in all that `other` has seen."""
        for name, column in other.columns.items():
            self.columns.setdefault(name, RunningStatistics(len(column.mean))).merge(column)

    def result(self) -> dict[str, Statistics]:
        """Statistics by column; a column without a finite row has none."""
        return {name: column.result() for name, column in sorted(self.columns.items()) if column.count}


def episode_statistics(shards: Iterable[Path]) -> dict[str, Statistics]:
    """Statistics of all columns of all episodes in these shards, read one episode at a time.

    Raises:
        InputError: a shard is damaged.
    """
    running = ColumnStatistics()
    for shard in shards:
        with open_shard(shard) as file:
            try:
                for group in file.values():
                    running.update(_columns(group))
            except READ_ERRORS as error:
                raise damaged(shard, error) from error
    return running.result()


def _columns(group: h5py.Group) -> dict[str, npt.NDArray[np.generic]]:
    names = [name for name in ("action", "state") if name in group]
    names += [f"extras/{name}" for name in group.get("extras", {})]
    return {name: group[name][()] for name in names}
