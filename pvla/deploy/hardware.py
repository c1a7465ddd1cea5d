"""What the control loop needs of an arm and of a camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class ArmState:
    """A measurement: joint angles q (6,) in rad, gripper opening 0..1 (1 = open), time in s when it was taken."""

    q: Array
    gripper: float
    time: float

    def vector(self) -> npt.NDArray[np.float32]:
        """Joint angles and gripper in one array, (7,) f32."""
        return np.append(self.q, self.gripper).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture: rgb u8 (h, w, 3), time in s when it was taken, on the loop's clock."""

    rgb: npt.NDArray[np.uint8]
    time: float


class Arm(Protocol):
    """An arm with a gripper. Any call may raise RunFault; `SupervisedArm` guards against calls that hang."""

    def read(self) -> ArmState:
        """The newest measurement, with the time when it was taken."""
        ...

    def command(self, q: Array, gripper: float) -> None:
        """Go towards joint angles q (6,) in rad and a gripper opening 0..1 until the next command."""
        ...

    def hold(self) -> None:
        """Stay where the arm is, with torque."""
        ...

    def damp(self) -> None:
        """Give way slowly: no position control, damping only."""
        ...

    def close(self) -> None:
        """Release the arm; it is damped."""
        ...


class Camera(Protocol):
    """A camera that fills its own buffer: reading never waits for a picture."""

    def read(self) -> Frame:
        """The newest picture, with the time when it was taken."""
        ...

    def close(self) -> None:
        """Release the camera."""
        ...
