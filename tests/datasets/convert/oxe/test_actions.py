"""Rules for grippers and rotations against answers worked out by hand, and against other ways to compute them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvla.datasets.convert.oxe.actions import (
    Columns,
    Constant,
    Euler,
    Gripper,
    clipped,
    clipped_inverted,
    decided,
    euler_from_quaternion,
    from_relative,
    inverted,
    reached,
    side_by_side,
)
from pvla.datasets.convert.source import Damaged

Rows = npt.NDArray[np.float64]


def rows(*values: float) -> Rows:
    return np.array(values, float)


def test_simple_rules() -> None:
    np.testing.assert_array_equal(clipped(rows(-1, 0.25, 1, 3)), [0, 0.25, 1, 1])
    np.testing.assert_array_equal(inverted(rows(0, 0.25, 1)), [1, 0.75, 0])
    np.testing.assert_array_equal(clipped_inverted(rows(-1, 0.25, 1)), [1, 0.75, 0])


@pytest.mark.parametrize(
    ("relative", "absolute"),
    [
        # open until +1 closes it, then -1 opens it
        ([0, 0, 1, 0, 0, -1, 0], [1, 1, 0, 0, 0, 1, 1]),
        # its first command opens it: it was closed before
        ([0, -1, 0, 1], [0, 1, 1, 0]),
        # repeated commands, and numbers within 0.1 of 0
        ([0.05, 1, 1, -0.05, -1], [1, 0, 0, 0, 1]),
        # never commanded: open
        ([0, 0, 0.1, -0.1], [1, 1, 1, 1]),
        ([1], [0]),
        ([], []),
    ],
)
def test_relative_commands_become_absolute(relative: list[float], absolute: list[float]) -> None:
    np.testing.assert_array_equal(from_relative(rows(*relative)), absolute)


def relative_by_scan(gripper: Rows) -> list[float]:
    """The rule again, step by step."""
    command = [1.0 if g < -0.1 else 0.0 if g > 0.1 else None for g in gripper]
    first = next((c for c in command if c is not None), 0.0)
    state, out = 1.0 - first, []
    for c in command:
        state = state if c is None else c
        out.append(state)
    return out


@given(st.lists(st.floats(-1, 1), max_size=20))
def test_relative_commands_as_by_a_scan(values: list[float]) -> None:
    np.testing.assert_array_equal(from_relative(rows(*values)), relative_by_scan(rows(*values)))


@pytest.mark.parametrize(
    ("positions", "states"),
    [
        # on its way from open to closed, and back: what comes next counts
        ([1, 0.7, 0.4, 0.02, 0, 0.3, 0.99], [1, 0, 0, 0, 0, 1, 1]),
        # on its way at the end: the last value stands for all of them
        ([0, 0.3, 0.6], [0, 0.6, 0.6]),
        ([0.5], [0.5]),
        # exactly at a limit is between
        ([0.95, 0.05, 1], [1, 1, 1]),
        ([], []),
    ],
)
def test_positions_become_decided(positions: list[float], states: list[float]) -> None:
    np.testing.assert_array_equal(decided(rows(*positions)), states)


def decided_by_scan(gripper: Rows) -> list[float]:
    """The rule again, step by step from the end."""
    out, carry = [0.0] * len(gripper), gripper[-1]
    for t in reversed(range(len(gripper))):
        if gripper[t] > 0.95 or gripper[t] < 0.05:
            carry = float(gripper[t] > 0.95)
        out[t] = carry
    return out


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_positions_become_decided_as_by_a_scan(values: list[float]) -> None:
    result = decided(rows(*values))
    np.testing.assert_array_equal(result, decided_by_scan(rows(*values)))
    assert ((result >= 0) & (result <= 1)).all()


@pytest.mark.parametrize(
    ("quaternion", "angles"),
    [
        ([0, 0, 0, 1], [0, 0, 0]),
        ([math.sin(0.25), 0, 0, math.cos(0.25)], [0.5, 0, 0]),
        ([0, math.sin(0.25), 0, math.cos(0.25)], [0, 0.5, 0]),
        ([0, 0, math.sin(0.25), math.cos(0.25)], [0, 0, 0.5]),
        ([0, 0, 2, 2], [0, 0, math.pi / 2]),
    ],
)
def test_angles_of_simple_rotations(quaternion: list[float], angles: list[float]) -> None:
    np.testing.assert_allclose(euler_from_quaternion(rows(*quaternion)[None])[0], angles, atol=1e-12)


def quaternion_of(roll: float, pitch: float, yaw: float) -> Rows:
    """Half angles, multiplied: yaw, then pitch, then roll, each about one axis."""
    result = rows(0, 0, 0, 1)
    for axis, angle in ((2, yaw), (1, pitch), (0, roll)):
        turn = rows(0, 0, 0, math.cos(angle / 2))
        turn[axis] = math.sin(angle / 2)
        a, b = result, turn
        vector = a[3] * b[:3] + b[3] * a[:3] + np.cross(a[:3], b[:3])
        result = np.append(vector, a[3] * b[3] - a[:3] @ b[:3])
    return result


@given(st.floats(-3.1, 3.1), st.floats(-1.5, 1.5), st.floats(-3.1, 3.1), st.floats(0.1, 10))
def test_angles_come_back_from_their_quaternion(roll: float, pitch: float, yaw: float, length: float) -> None:
    angles = euler_from_quaternion(length * quaternion_of(roll, pitch, yaw)[None])[0]
    np.testing.assert_allclose(angles, [roll, pitch, yaw], atol=1e-6)


def test_a_quaternion_of_zeros_stays_finite() -> None:
    assert np.isfinite(euler_from_quaternion(np.zeros((2, 4)))).all()


def test_reached_change_of_pose() -> None:
    pose = np.array([[0, 0, 0, 0, 0, 3.0], [0.1, 0, -0.2, 0, 0.5, -3.0], [0.1, 0, 0, 0, 0.25, -3.0]])
    # the third angle passes pi: 3.0 to -3.0 is 2 pi - 6 = 0.2832 onwards, not -6
    expected = [[0.1, 0, -0.2, 0, 0.5, 2 * math.pi - 6], [0, 0, 0.2, 0, -0.25, 0]]
    np.testing.assert_allclose(reached(pose), expected, atol=1e-12)


def test_parts_side_by_side() -> None:
    steps = {"action": np.arange(8, dtype=np.float32).reshape(2, 4), "open": np.array([True, False])}
    parts = (Columns("action", 1, 3), Constant(0.5, 2), Gripper(Columns("open"), inverted))
    np.testing.assert_array_equal(side_by_side(parts, steps, 2), [[1, 2, 0.5, 0.5, 0], [5, 6, 0.5, 0.5, 1]])


def test_parts_say_what_is_missing() -> None:
    steps = {"action": np.zeros((3, 4))}
    with pytest.raises(Damaged, match="have no observation/state; their first arrays are action"):
        Columns("observation/state").rows(steps, 3)
    with pytest.raises(Damaged, match="3 rows of action for 4 steps"):
        Columns("action").rows(steps, 4)
    with pytest.raises(Damaged, match="4 columns where the gripper's"):
        Gripper(Columns("action"), inverted).rows(steps, 3)
    with pytest.raises(Damaged, match="3 columns where a quaternion"):
        Euler(Columns("action", 0, 3)).rows(steps, 3)
