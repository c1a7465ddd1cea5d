"""Open X-Embodiment's table, part 2: datasets whose action is a group of arrays, mostly of its first release."""

from __future__ import annotations

from typing import Final

from pvla.datasets.convert.oxe.actions import (
    Columns,
    Constant,
    Gripper,
    Part,
    Rule,
    as_recorded,
    clipped,
    clipped_inverted,
    from_relative,
    inverted,
)
from pvla.datasets.convert.oxe.row import POSE, VELOCITY, Cameras, OxeRow

_TEXT: Final = "observation/natural_language_instruction"
_MOVE: Final = Columns("action/world_vector")
_TURN: Final = Columns("action/rotation_delta")
_QUATERNION: Final = ("x", "y", "z", "qx", "qy", "qz", "qw")
_JOINTS: Final = tuple(f"joint{i}" for i in range(1, 8))
_RELATIVE: Final = "relative: +1 closes, -1 opens, 0 leaves it"
_CLOSEDNESS: Final = "-1 or 0 open, +1 closed"


def _packed(rule: Rule, key: str = "action/gripper_closedness_action") -> tuple[Part, ...]:
    return _MOVE, _TURN, Gripper(Columns(key), rule)


ROWS: Final = (
    OxeRow(
        "fractal20220817_data",
        _packed(from_relative),
        _RELATIVE,
        (Columns("observation/base_pose_tool_reached"), Columns("observation/gripper_closed")),
        (*_QUATERNION, "gripper_closed"),
        Cameras("image"),
        _TEXT,
        3.0,
        frame="base",
    ),
    OxeRow(
        "kuka",
        _packed(from_relative),
        _RELATIVE,
        (),
        (),
        Cameras("image"),
        _TEXT,
        10.0,
        notes=("The state is left out: pose and gripper are stored as compressed texts.",),
    ),
    OxeRow(
        "taco_play",
        (Columns("action/rel_actions_world", 0, 6), Gripper(Columns("action/rel_actions_world", 6, 7), clipped)),
        "-1 closed, +1 open, as OpenVLA reads it",
        (Columns("observation/robot_obs", 0, 7),),
        (*POSE[:6], "gripper_width"),
        Cameras("rgb_static", wrist="rgb_gripper"),
        _TEXT,
        15.0,
        frame="base",
        notes=(
            "The dataset's description says the opposite of the gripper: -1 open, +1 closed. Look at an episode.",
            "The dataset's description calls the angles yaw, pitch, roll; OpenVLA and CALVIN take them as x, y, z.",
            "OpenVLA takes column 7 of robot_obs for the gripper's state, by the description it is the first joint.",
        ),
    ),
    OxeRow(
        "jaco_play",
        (_MOVE, Constant(0.0, 3), Gripper(Columns("action/gripper_closedness_action"), from_relative)),
        _RELATIVE,
        (Columns("observation/end_effector_cartesian_pos"),),
        ("x", "y", "z", *(f"pose{i}" for i in range(3, 7))),
        Cameras("image", wrist="image_wrist"),
        _TEXT,
        10.0,
        notes=(
            "The arm was not turned: the angles' columns are 0.",
            "What columns 3 to 6 of the pose are is not stated.",
        ),
    ),
    OxeRow(
        "berkeley_cable_routing",
        (_MOVE, _TURN, Constant(0.0, 1)),
        "none: it holds the cable, 0 in every frame",
        (Columns("observation/robot_state"),),
        tuple(f"robot_state{i}" for i in range(7)),
        Cameras("image", "top_image", "wrist45_image"),
        _TEXT,
        10.0,
        kind="eef_velocity",
        names=VELOCITY,
    ),
    OxeRow(
        "roboturk",
        _packed(clipped_inverted),
        _CLOSEDNESS,
        (),
        (),
        Cameras("front_rgb"),
        _TEXT,
        10.0,
    ),
    OxeRow(
        "viola",
        _packed(clipped_inverted),
        _CLOSEDNESS,
        (Columns("observation/joint_states"), Columns("observation/gripper_states")),
        (*_JOINTS, "gripper_width"),
        Cameras("agentview_rgb", wrist="eye_in_hand_rgb"),
        _TEXT,
        20.0,
    ),
    OxeRow(
        "berkeley_autolab_ur5",
        _packed(from_relative),
        _RELATIVE,
        (Columns("observation/robot_state", 6, 14),),
        (*_QUATERNION, "gripper_closed"),
        Cameras("image", wrist="hand_image"),
        _TEXT,
        5.0,
    ),
    OxeRow(
        "toto",
        _packed(as_recorded, "action/open_gripper"),
        "true where it is open",
        (Columns("observation/state"),),
        _JOINTS,
        Cameras("image"),
        _TEXT,
        30.0,
    ),
    OxeRow(
        "bc_z",
        (
            *(Columns("action/future/xyz_residual", 0, 3), Columns("action/future/axis_angle_residual", 0, 3)),
            Gripper(Columns("action/future/target_close", 0, 1), inverted),
        ),
        "0 open, 1 closed",
        tuple(Columns(f"observation/present/{key}") for key in ("xyz", "axis_angle", "sensed_close")),
        ("x", "y", "z", "rx", "ry", "rz", "sensed_close"),
        Cameras("image"),
        _TEXT,
        10.0,
        names=("dx", "dy", "dz", "drx", "dry", "drz", "gripper"),
        frame="base",
        notes=(
            "The first of 10 future actions is taken; rotations are differences of rotation vectors, which are added.",
            "Use version 0.1.0: OpenVLA's authors found later ones broken.",
        ),
    ),
    OxeRow(
        "droid",
        (
            Columns("action_dict/cartesian_velocity", 0, 6),
            Gripper(Columns("action_dict/gripper_position"), inverted),
        ),
        "0 open, 1 closed",
        (Columns("observation/cartesian_position"), Columns("observation/gripper_position")),
        (*POSE[:6], "gripper_closed"),
        Cameras("exterior_image_1_left", "exterior_image_2_left", "wrist_image_left"),
        rate_hz=15.0,
        kind="eef_velocity",
        names=VELOCITY,
        frame="base",
        aliases=("droid_100", "r2d2_faceblur"),
        notes=("OpenVLA leaves away frames in which no motion is commanded, and swaps the two views at random.",),
    ),
)
