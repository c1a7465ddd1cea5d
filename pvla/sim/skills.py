"""What the scripted experts know about each task: where to grasp, where to put, in which order.

A skill turns the state of the scene into a list of phases. Goals are computed anew at every step from what is true
now, but for the grasp itself: a hand that followed an object which it already pushes would never arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pvla.sim.scene import DRAWER_TRAVEL, TABLE_Z, Scene

Array = npt.NDArray[np.float64]

HOVER = 0.07
"""Height above the grasp at which the hand stops before it goes down, m."""

CARRY_Z = TABLE_Z + 0.125
"""Height of the tool point while carrying: bowls and cabinet stay below what hangs in the hand, m."""

HANDLE = np.array([-0.045, 0.0, 0.045])
"""Middle of the drawer's handle in the drawer's frame, m."""

HANDLE_GAP = 0.45
"""Opening of the gripper that fits over the handle without hitting the drawer's front, 0..1."""

WALL_RADIUS = 0.0395
"""Radius of a bowl's wall where the pads hold it, m."""

GRIP_HEIGHT = 0.030
"""Height over a bowl's foot at which the tool point is then, m.

The pads still hold the wall up to 12 mm higher. At 39 mm, where it once was, a hand that came down 8 mm too little held
the bowl so near its rim that it tilted and slipped.
"""


@dataclass(frozen=True)
class Goal:
    """Where the hand should be: tool point (3,), m; yaw, rad; gripper opening 0..1."""

    position: Array
    yaw: float
    gripper: float

    def raised_to(self, z: float) -> Goal:
        """The same goal at another height."""
        return Goal(np.array([self.position[0], self.position[1], z]), self.yaw, self.gripper)

    def with_gripper(self, opening: float) -> Goal:
        """The same goal with another opening of the gripper."""
        return Goal(self.position, self.yaw, opening)


class Skill(Protocol):
    """How one task is done: by grasping ``target`` and, after that, moving it.

    Attributes:
        target: what is grasped.
    """

    target: str

    def grasp(self, scene: Scene) -> Goal:
        """Pose at which the closing fingers hold the target; its gripper is the opening on the way there."""
        ...

    def finish(self, scene: Scene, grasp: Goal, hanging: Array) -> Goal:
        """Pose to which the hand brings what it took at ``grasp``; gripper = opening at the end.

        ``hanging`` (3,), m, leads from the target to the tool point in the frame of the hand's yaw.
        """
        ...

    def via(self, finish: Goal) -> Goal | None:
        """Pose through which the target is carried to ``finish``; None for the straight way."""
        ...

    def grip_point(self, scene: Scene) -> Array:
        """Point of the target, (3,), m, that is near the tool point for as long as the target is held."""
        ...


class Carry:
    """Grasp an object from above, carry it over a place and let go."""

    def __init__(self, target: str) -> None:
        self.target = target

    def grasp(self, scene: Scene) -> Goal:
        """Around the object's middle, fingers opening across the arm's radius."""
        position = scene.position(self.target)
        return Goal(position, _azimuth(position), 1.0)

    def place(self, scene: Scene) -> tuple[Array, float]:
        """Where the object's origin should be when it is let go, (3,), m, and the hand's yaw, rad."""
        raise NotImplementedError

    def finish(self, scene: Scene, grasp: Goal, hanging: Array) -> Goal:
        """Above the place, corrected by how the object hangs in the hand."""
        place, yaw = self.place(scene)
        return Goal(place + turned(hanging, yaw), yaw, 1.0)

    def via(self, finish: Goal) -> Goal | None:
        """The finish at carrying height."""
        return finish.raised_to(max(CARRY_Z, finish.position[2] + 0.02))

    def grip_point(self, scene: Scene) -> Array:
        """The object's middle."""
        return scene.position(self.target)


class OrangeToPlate(Carry):
    """Put the orange on the middle of the plate."""

    def __init__(self) -> None:
        super().__init__("orange")

    def place(self, scene: Scene) -> tuple[Array, float]:
        """A few millimetres above the plate."""
        plate = scene.position("plate")
        return plate + np.array([0.0, 0.0, 0.006 + 0.028 + 0.005]), _azimuth(plate)


class ToyToDrawer(Carry):
    """Drop the toy into the open part of the drawer."""

    def __init__(self) -> None:
        super().__init__("toy")

    def grasp(self, scene: Scene) -> Goal:
        """Across the toy, along whichever of its two axes lies nearer to the arm's tangent."""
        position = scene.position("toy")
        azimuth = _azimuth(position)
        side = scene.rotation("toy")[:, 1]
        yaw = float(np.arctan2(-side[0], side[1]))
        yaw = azimuth + (yaw - azimuth + np.pi / 4) % (np.pi / 2) - np.pi / 4
        return Goal(position - np.array([0.0, 0.0, 0.003]), yaw, 1.0)

    def place(self, scene: Scene) -> tuple[Array, float]:
        """Over the middle of what the cabinet leaves free, above the walls."""
        drawer = scene.position("drawer")
        free = np.array([(0.006 + scene.drawer()) / 2, 0.0, 0.085])
        return drawer + free, 0.0


class StackBowls(Carry):
    """Take the blue bowl by its rim and set it into the yellow one."""

    def __init__(self) -> None:
        super().__init__("bowl_blue")

    def grasp(self, scene: Scene) -> Goal:
        """The wall on the right as seen from the arm, one finger inside and one outside."""
        centre = scene.position(self.target)
        azimuth = _azimuth(centre)
        to_rim = WALL_RADIUS * np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
        return Goal(centre + to_rim + np.array([0.0, 0.0, GRIP_HEIGHT]), azimuth, 1.0)

    def place(self, scene: Scene) -> tuple[Array, float]:
        """Just above the height at which the bowls' walls meet."""
        under = scene.position("bowl_yellow")
        return under + np.array([0.0, 0.0, 0.024]), _azimuth(under)

    def grip_point(self, scene: Scene) -> Array:
        """The middle of the bowl's opening, one radius from the tool point."""
        across = np.array([-np.sin(scene.hand_yaw()), np.cos(scene.hand_yaw()), 0.0])
        middle: Array = scene.position(self.target) - WALL_RADIUS * across + np.array([0.0, 0.0, GRIP_HEIGHT])
        return middle


class PickPeach(Carry):
    """Lift the peach and hold it."""

    def __init__(self) -> None:
        super().__init__("peach")

    def finish(self, scene: Scene, grasp: Goal, hanging: Array) -> Goal:
        """Straight up from the grasp, with the gripper closed."""
        return Goal(np.append(grasp.position[:2], TABLE_Z + 0.15), grasp.yaw, 0.0)

    def via(self, finish: Goal) -> Goal | None:
        """No detour."""
        return None


class OpenDrawer:
    """Hook the drawer's handle and pull it towards the robot."""

    target = "drawer"

    def grasp(self, scene: Scene) -> Goal:
        """Around the bar of the handle, fingers opening along the drawer's way."""
        return Goal(self.grip_point(scene), np.pi / 2, HANDLE_GAP)

    def finish(self, scene: Scene, grasp: Goal, hanging: Array) -> Goal:
        """The handle's place with the drawer open nearly to its stop."""
        open_drawer = scene.position("drawer")[0] + scene.drawer() - (DRAWER_TRAVEL - 0.006)
        return Goal(np.array([open_drawer + HANDLE[0], *grasp.position[1:]]), np.pi / 2, HANDLE_GAP)

    def via(self, finish: Goal) -> Goal | None:
        """No detour."""
        return None

    def grip_point(self, scene: Scene) -> Array:
        """The middle of the handle's bar."""
        bar: Array = scene.position("drawer") + HANDLE
        return bar


SKILLS: dict[str, Skill] = {
    "pick_peach": PickPeach(),
    "open_drawer": OpenDrawer(),
    "stack_bowls": StackBowls(),
    "orange_to_plate": OrangeToPlate(),
    "toy_to_drawer": ToyToDrawer(),
}


def _azimuth(position: Array) -> float:
    """Direction from the arm's base, rad."""
    return float(np.arctan2(position[1], position[0]))


def turned(vector: Array, angle: float) -> Array:
    """A vector (3,) turned about the vertical, angle in rad."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1], vector[2]])
