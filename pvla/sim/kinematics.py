"""Kinematics of the six-joint arm, in closed form.

The hand always points straight down here, so the arm is a turntable (joint 1) that carries three links in a vertical
plane (joints 2 to 4); joint 5 stays at 0 and joint 6 turns the hand about the vertical.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SHOULDER_X, SHOULDER_Z = 0.02, 0.0565 + 0.047
UPPER_ARM = 0.264
FOREARM = float(np.hypot(0.245, 0.06))
FOREARM_DROOP = float(np.arctan2(0.06, 0.245))
"""Angle by which the forearm's wrist lies below its own x axis, rad."""

WRIST_PITCH_TO_YAW = 0.0739
WRIST_TO_TCP = WRIST_PITCH_TO_YAW + 0.0253 + 0.14
"""From joint 4 to the point between the finger pads when joint 5 is 0, m."""


def inverse(position: Array, yaw: float) -> Array | None:
    """Joint angles that bring the tool point somewhere with the hand pointing down.

    Args:
        position: of the tool point, (3,), m, base frame.
        yaw: of the hand about the vertical, rad; 0 where the fingers open along y.

    Returns:
        Joint angles (6,), rad, elbow up; None where the arm is too short. Joint limits are not looked at.
    """
    x, y, z = position
    azimuth = np.arctan2(y, x)
    forward = np.hypot(x, y) - SHOULDER_X
    up = z + WRIST_TO_TCP - SHOULDER_Z
    reach = np.hypot(forward, up)
    if not abs(UPPER_ARM - FOREARM) < reach < UPPER_ARM + FOREARM:
        return None
    elbow = _angle_between(UPPER_ARM, FOREARM, opposite=reach)
    shoulder = np.arctan2(up, forward) + _angle_between(UPPER_ARM, reach, opposite=FOREARM)
    joint2 = np.pi - shoulder
    joint3 = elbow + FOREARM_DROOP
    joint4 = joint2 - joint3 - np.pi / 2
    return np.array([azimuth, joint2, joint3, joint4, 0.0, _wrap(azimuth - yaw)])


def forward(joints: Array) -> tuple[Array, Array]:
    """Tool point (3,), m, and rotation (3, 3) of the hand for joint angles (6,), rad.

    The hand's x axis points along the fingers and its y axis is the direction in which they open.
    """
    turn, hand = _rot_z(joints[0]), _rot_z(-joints[4]) @ _rot_x(joints[5])
    upper, fore, wrist = joints[1], joints[1] - joints[2], joints[1] - joints[2] - joints[3]
    shoulder = np.array([SHOULDER_X, 0.0, SHOULDER_Z])
    elbow = shoulder + _rot_y(upper) @ np.array([-UPPER_ARM, 0.0, 0.0])
    wrist_point = elbow + _rot_y(fore) @ np.array([0.245, 0.0, -0.06])
    tool = np.array([WRIST_PITCH_TO_YAW, 0.0, 0.0])
    tool = tool + hand @ np.array([WRIST_TO_TCP - WRIST_PITCH_TO_YAW, 0.0, 0.0])
    position = turn @ (wrist_point + _rot_y(wrist) @ tool)
    return position, turn @ _rot_y(wrist) @ hand


def _angle_between(a: float, b: float, *, opposite: float) -> float:
    """Angle between two sides of a triangle from its three lengths, rad."""
    return float(np.arccos(np.clip((a * a + b * b - opposite * opposite) / (2 * a * b), -1.0, 1.0)))


def _wrap(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def _rot_x(a: float) -> Array:
    return np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])


def _rot_y(a: float) -> Array:
    return np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])


def _rot_z(a: float) -> Array:
    return np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
