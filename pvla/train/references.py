"""What the frames of a dataset look like, so that `pvla score` can refuse a video that looks like none of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvla.datasets.loader import FrameTable
from pvla.score.reference import Reference

FRAMES = 4000


def score_references(table: FrameTable, blank: NDArray[np.float32], cameras: Sequence[str]) -> dict[str, Any]:
    """References (see `pvla.score.reference`) by the cameras that a video has: all, or the first alone.

    Args:
        table: the frames trained on; evenly spaced ones are looked at.
        blank: patches (P, D) of black pictures: what stands where a camera is missing.
        cameras: their names, in the order of the patches.
    """
    rows = np.linspace(0, len(table) - 1, min(FRAMES, len(table))).astype(np.int64)
    whole = table.patches[rows].astype(np.float32)  # (n, P, D)
    alone = np.broadcast_to(blank, whole.shape).copy()
    of_first = whole.shape[1] // len(cameras)
    alone[:, :of_first] = whole[:, :of_first]
    views = {"+".join(sorted(cameras)): whole, cameras[0]: alone}
    return {name: Reference.fit(features).to_json() for name, features in views.items()}
