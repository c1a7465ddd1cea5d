from __future__ import annotations

import numpy as np

from pvla.datasets.convert.noops import keep_mask


def actions(*rows: tuple[float, float]) -> np.ndarray:
    """From (length of the pose's change, gripper)."""
    return np.array([[length, 0, 0, 0, 0, 0, gripper] for length, gripper in rows])


def test_still_frames_go_and_a_gripper_that_changes_stays() -> None:
    given = actions((0, -1), (1, -1), (0, -1), (0, 1), (0, 1), (2e-4, 1), (0, 1), (0, -1))
    assert keep_mask(given).tolist() == [False, True, False, True, False, True, False, True]


def test_the_gripper_is_compared_with_the_last_frame_that_was_kept() -> None:
    # The first frame is left away whatever its gripper does; the next one has then nobody to be compared with.
    assert keep_mask(actions((0, 1), (0, -1), (1, -1), (0, -1))).tolist() == [False, False, True, False]


def test_the_threshold_is_on_the_length_of_all_six() -> None:
    row = np.full((1, 7), 0.9e-4)  # six of them are 2.2e-4 long
    assert keep_mask(row).tolist() == [True]


def test_nothing_of_nothing() -> None:
    assert keep_mask(np.zeros((0, 7))).shape == (0,)
