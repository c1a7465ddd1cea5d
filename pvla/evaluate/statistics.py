"""Estimates with 95 % intervals: proportions, paired differences of proportions, means and ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

Z95 = 1.959963984540054
"""Standard normal quantile of 97.5 %."""

RESAMPLES = 10_000
BOOTSTRAP_SEED = 0

Floats = npt.NDArray[Any]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval, from `count` observations; NaN stands for what these cannot tell."""

    value: float
    low: float
    high: float
    count: int

    @classmethod
    def none(cls) -> Estimate:
        """What is estimated from nothing."""
        return cls(nan, nan, nan, 0)


def wilson(successes: int, trials: int) -> Estimate:
    """A proportion with Wilson's score interval (1927), which keeps its level near 0 and 1."""
    if trials == 0:
        return Estimate.none()
    share, z2 = successes / trials, Z95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 / (1 + z2 / trials) * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half), trials)


def paired_proportions(first: Sequence[bool], second: Sequence[bool]) -> Estimate:
    """Difference of two proportions on the same trials, first minus second.

    The interval is Agresti and Min's (2005): Wald's after half a trial was added to each of the four cells, so that it
    does not collapse where the two never differ.
    """
    trials = len(first)
    if trials == 0:
        return Estimate.none()
    gained = sum(a and not b for a, b in zip(first, second, strict=True))
    lost = sum(b and not a for a, b in zip(first, second, strict=True))
    padded = trials + 2
    centre = (gained - lost) / padded
    variance = (gained + lost + 1 - (gained - lost) ** 2 / padded) / padded**2
    half = Z95 * sqrt(variance)
    return Estimate((gained - lost) / trials, max(-1.0, centre - half), min(1.0, centre + half), trials)


def mean(values: Sequence[float] | Floats, clusters: Sequence[int] | None = None) -> Estimate:
    """Mean of the finite values with a bootstrap interval; see `ratio` for the clusters."""
    numbers = np.asarray(values, float)
    return ratio(numbers, np.ones_like(numbers), clusters)


def ratio(
    numerators: Sequence[float] | Floats,
    denominators: Sequence[float] | Floats,
    clusters: Sequence[int] | None = None,
) -> Estimate:
    """Sum of the numerators over the sum of the denominators, with a percentile bootstrap interval.

    Pairs of which one is not finite are left out. Observations of one cluster (the same scene) are drawn together,
    because they are not independent; without clusters each observation is its own. One cluster alone has no interval.
    """
    tops, bottoms = np.asarray(numerators, float), np.asarray(denominators, float)
    groups = np.arange(len(tops)) if clusters is None else np.asarray(clusters)
    known = np.isfinite(tops) & np.isfinite(bottoms)
    if not known.any() or bottoms[known].sum() == 0:
        return Estimate.none()
    _, rows = np.unique(groups[known], return_inverse=True)
    tops, bottoms = np.bincount(rows, tops[known]), np.bincount(rows, bottoms[known])
    low, high = np.nanquantile(_resampled(tops, bottoms), [0.025, 0.975]) if len(tops) > 1 else (nan, nan)
    return Estimate(float(tops.sum() / bottoms.sum()), float(low), float(high), int(known.sum()))


def _resampled(tops: Floats, bottoms: Floats) -> Floats:
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    clusters = len(tops)
    drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=RESAMPLES)  # (R, clusters)
    below = drawn @ bottoms
    drawn_ratios: Floats = np.divide(drawn @ tops, below, out=np.full(RESAMPLES, nan), where=below != 0)
    return drawn_ratios
