"""Where the tool is: forward kinematics of a chain of revolute joints, and the protocol that safety asks it through."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pvla.deploy.manifest import ChainSpec

Array = npt.NDArray[Any]


class Kinematics(Protocol):
    """Forward kinematics of an arm."""

    def tcp(self, q: Array) -> Array:
        """Position (3,) in m of the tool's centre, in the arm's base frame, at joint angles q (6,) in rad."""
        ...


class SerialChain:
    """Forward kinematics of a chain that a bundle describes."""

    def __init__(self, spec: ChainSpec) -> None:
        self._joints = [(np.array(joint.offset), _skew(np.array(joint.axis))) for joint in spec.joints]
        self._tool = np.array(spec.tool)

    def tcp(self, q: Array) -> Array:
        """Position (3,) in m of the tool's centre at joint angles q (J,) in rad."""
        position, rotation = np.zeros(3), np.eye(3)
        for (offset, cross), angle in zip(self._joints, q, strict=True):
            position = position + rotation @ offset
            rotation = rotation @ _rotation(cross, float(angle))
        tcp: Array = position + rotation @ self._tool
        return tcp


def _skew(axis: Array) -> Array:
    x, y, z = axis / np.linalg.norm(axis)
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])


def _rotation(cross: Array, angle: float) -> Array:
    """Rodrigues' formula, with the cross-product matrix of a unit axis."""
    rotation: Array = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return rotation
