"""Frames in which nothing is commanded: OpenVLA's filter for LIBERO, for actions that are end-effector deltas.

A policy that learns from such frames learns to stand still. A frame is one if the pose part of its action is shorter
than 1e-4 and the gripper's command is that of the last frame that was kept; for the first frame the pose decides alone
(the rule of the script that made OpenVLA's modified LIBERO, arXiv:2406.09246).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

THRESHOLD: Final = 1e-4


def keep_mask(action: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which frames to keep (T,) of actions (T, A) whose last column is the gripper's."""
    still = np.linalg.norm(action[:, :-1], axis=1) < THRESHOLD
    gripper = action[:, -1]
    kept = np.zeros(len(action), bool)
    last = None
    for t in range(len(action)):
        kept[t] = not (still[t] and (last is None or gripper[t] == last))
        if kept[t]:
            last = gripper[t]
    return kept
