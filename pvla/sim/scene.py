"""The tabletop scene: the model, the table of its objects, seeded layouts and readings of the state.

World frame = frame of the arm's base: x forward, y left, z up, metres, radians. The table top is at ``TABLE_Z``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SCENE_XML = Path(__file__).parent / "scene.xml"
TABLE_Z = -0.16
"""Height of the table top in the frame of the arm's base, m."""

MAX_OPENING = 0.088
"""Distance between the fingers when the gripper reads 1, m."""

DRAWER_TRAVEL = 0.15
ARM_JOINTS = tuple(f"joint{i}" for i in range(1, 7))


@dataclass(frozen=True)
class Item:
    """One free object: the centre of its region on the table and how it stands there.

    Attributes:
        name: body, and free joint, in the scene.
        region: (x, y) of the region's centre, m.
        height: of the body's origin above the table at rest, m.
    """

    name: str
    region: tuple[float, float]
    height: float


ITEMS = (
    Item("orange", (0.220, -0.060), 0.028),
    Item("peach", (0.365, -0.090), 0.025),
    Item("toy", (0.220, 0.090), 0.018),
    Item("plate", (0.385, 0.070), 0.0),
    Item("bowl_blue", (0.155, -0.250), 0.0),
    Item("bowl_yellow", (0.315, -0.260), 0.0),
)
"""The objects in the order of every array of positions.

Regions are 6 cm squares. They are so far apart that no two objects can touch and that the open gripper (about 11 cm
along the tangent of its circle around the base) can go down on any object without touching another.
"""

OBJECT_NAMES = tuple(item.name for item in ITEMS)
BOWLS = ("bowl_blue", "bowl_yellow")
"""Twelve-sided: they start with a side across the arm's radius, as a round bowl would always offer one."""

JITTER = 0.03
"""Half the side of an object's region, m."""

DRAWER_START = (0.065, 0.075)
"""Range of the drawer's opening at the start, m: ajar, so that it tells nothing about the task."""

HOME = np.array([0.0, 1.63, 1.43, -1.37, 0.0, 0.0])
"""Joint angles about which an episode starts, rad: the hand points down above the middle of the table."""

HOME_SPREAD = 0.03


@dataclass(frozen=True)
class Layout:
    """A start of the scene: poses (n, 4) as x, y, z, yaw of ITEMS; the drawer's opening, m; joint angles (6,), rad."""

    poses: Array
    drawer: float
    joints: Array


def sample_layout(rng: np.random.Generator) -> Layout:
    """Draw a start: every object somewhere in its own region, the drawer ajar, the arm near home."""
    centre = np.array([item.region for item in ITEMS])
    xy = centre + rng.uniform(-JITTER, JITTER, centre.shape)
    z = np.array([TABLE_Z + item.height + 0.001 for item in ITEMS])
    yaw = rng.uniform(-np.pi, np.pi, len(ITEMS))
    yaw[OBJECT_NAMES.index("toy")] = rng.uniform(-0.6, 0.6)
    for name in BOWLS:
        yaw[OBJECT_NAMES.index(name)] = np.arctan2(*xy[OBJECT_NAMES.index(name), ::-1]) + rng.uniform(-0.1, 0.1)
    joints = HOME + rng.normal(0.0, HOME_SPREAD, HOME.shape)
    return Layout(np.column_stack([xy, z, yaw]), float(rng.uniform(*DRAWER_START)), joints)


class Scene:
    """The model with its data, and names instead of addresses.

    Attributes:
        model: the MuJoCo model.
        data: its state. Change it only through the methods, or call ``mujoco.mj_forward`` afterwards.
    """

    def __init__(self) -> None:
        self.model: Any = mujoco.MjModel.from_xml_path(str(SCENE_XML))
        self.data: Any = mujoco.MjData(self.model)
        self._arm_qpos = np.array([self._qpos_address(name) for name in ARM_JOINTS])
        self._finger_qpos = np.array([self._qpos_address(f"finger_{side}") for side in ("left", "right")])
        self._drawer_qpos = self._qpos_address("drawer")
        self._object_bodies = np.array([self.model.body(name).id for name in OBJECT_NAMES])
        self._tcp = int(self.model.site("tcp").id)
        self._hand = int(self.model.body("link6").id)

    def _qpos_address(self, joint: str) -> int:
        return int(self.model.joint(joint).qposadr[0])

    @cached_property
    def joint_range(self) -> Array:
        """Limits of the six joints, shape (6, 2), rad."""
        return np.array([self.model.joint(name).range for name in ARM_JOINTS])

    def can_reach(self, joints: Array) -> bool:
        """Whether joint angles (6,), rad, are within their limits."""
        low, high = self.joint_range.T
        return bool(np.all(joints >= low) and np.all(joints <= high))

    def place(self, layout: Layout) -> None:
        """Set the whole state to a layout, at rest, gripper open, targets equal to the pose."""
        mujoco.mj_resetData(self.model, self.data)
        for item, (x, y, z, yaw) in zip(ITEMS, layout.poses, strict=True):
            start = self._qpos_address(item.name)
            self.data.qpos[start : start + 7] = (x, y, z, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2))
        self.data.qpos[self._drawer_qpos] = layout.drawer
        self.data.qpos[self._arm_qpos] = layout.joints
        self.data.qpos[self._finger_qpos] = MAX_OPENING / 2
        self.command(np.append(layout.joints, 1.0))
        mujoco.mj_forward(self.model, self.data)

    def command(self, target: Array) -> None:
        """Set the actuators' targets: six joint angles, rad, and the gripper's opening 0..1, shape (7,)."""
        self.data.ctrl[:6] = target[:6]
        self.data.ctrl[6:8] = target[6] * MAX_OPENING / 2

    def state(self) -> Array:
        """Measured joint angles, rad, and gripper opening 0..1 (1 = open), shape (7,)."""
        opening = self.data.qpos[self._finger_qpos].sum() / MAX_OPENING
        return np.append(self.data.qpos[self._arm_qpos], np.clip(opening, 0.0, 1.0))

    def tcp(self) -> Array:
        """Point between the finger pads, shape (3,), m."""
        return np.array(self.data.site_xpos[self._tcp])

    def hand_yaw(self) -> float:
        """Turn of the hand about the vertical, rad; 0 where the fingers open along y."""
        across = self.data.xmat[self._hand].reshape(3, 3)[:, 1]
        return float(np.arctan2(-across[0], across[1]))

    def objects(self) -> Array:
        """Positions of the bodies of OBJECT_NAMES, shape (n, 3), m."""
        return np.array(self.data.xpos[self._object_bodies])

    def position(self, name: str) -> Array:
        """Position of one body, shape (3,), m."""
        return np.array(self.data.body(name).xpos)

    def speed(self, name: str) -> float:
        """Speed of one free body, m/s."""
        start = int(self.model.joint(name).dofadr[0])
        return float(np.linalg.norm(self.data.qvel[start : start + 3]))

    def rotation(self, name: str) -> Array:
        """Rotation matrix of one body, shape (3, 3)."""
        return np.array(self.data.body(name).xmat).reshape(3, 3)

    def drawer(self) -> float:
        """Opening of the drawer, m."""
        return float(self.data.qpos[self._drawer_qpos])

    def touches_hand(self, name: str) -> bool:
        """Whether a body is in contact with a finger or with the hand."""
        body = int(self.model.body(name).id)
        bodies = self.model.geom_bodyid[self.data.contact.geom[: self.data.ncon]]
        hand = np.isin(bodies, self._hand_bodies)
        return bool(np.any((bodies == body) & hand[:, ::-1]))

    @cached_property
    def _hand_bodies(self) -> Array:
        names = ("link6", "finger_left", "finger_right")
        return np.array([self.model.body(name).id for name in names])
