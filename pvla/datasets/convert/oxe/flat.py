"""Open X-Embodiment's table, part 3: datasets whose action is one array."""

from __future__ import annotations

from typing import Final

from pvla.datasets.convert.oxe.actions import (
    Columns,
    Constant,
    Euler,
    Gripper,
    Part,
    Rule,
    as_recorded,
    clipped,
    clipped_inverted,
    inverted,
)
from pvla.datasets.convert.oxe.row import POSE, Cameras, OxeRow

_JOINTS: Final = tuple(f"joint{i}" for i in range(1, 8))
_QUATERNION: Final = ("x", "y", "z", "qx", "qy", "qz", "qw")
_YAW_FIRST: Final = ("yaw", "pitch", "roll")
_STATE: Final = "observation/state"
_ONE_CAMERA: Final = Cameras("image")
_TWO_CAMERAS: Final = Cameras("image", wrist="wrist_image")
_SWAPPED: Final = "Pictures in the public copy of Open X-Embodiment are BGR: look at them, red and blue may be swapped."
_UNSTATED: Final = "not stated, as recorded"
_CLOSING: Final = "-1 or 0 open, +1 closed"


def _flat(rule: Rule) -> tuple[Part, ...]:
    """6 columns as recorded, and the gripper's, which is column 6."""
    return Columns("action", 0, 6), Gripper(Columns("action", 6, 7), rule)


ROWS: Final = (
    OxeRow(
        "language_table",
        (Columns("action", 0, 2), Constant(0.0, 4), Constant(1.0, 1)),
        "none: a rod pushes, 1 in every frame",
        (Columns("observation/effector_translation"),),
        ("x", "y"),
        Cameras("rgb"),
        "observation/instruction",
        10.0,
        notes=("The rod moves in a plane: z and the angles are 0.",),
    ),
    OxeRow(
        "stanford_hydra_dataset_converted_externally_to_rlds",
        _flat(inverted),
        "0 open, 1 closed",
        (Columns(_STATE, 0, 3), Columns(_STATE, 7, 10), Columns(_STATE, 24, 25)),
        (*POSE[:6], "gripper"),
        _TWO_CAMERAS,
        rate_hz=10.0,
        notes=(_SWAPPED,),
    ),
    OxeRow(
        "austin_buds_dataset_converted_externally_to_rlds",
        _flat(clipped_inverted),
        _CLOSING,
        (Columns(_STATE, 0, 8),),
        (*_JOINTS, "gripper"),
        _TWO_CAMERAS,
        rate_hz=20.0,
    ),
    OxeRow(
        "nyu_franka_play_dataset_converted_externally_to_rlds",
        (Columns("action", 7, 13), Gripper(Columns("action", 13, 14), clipped)),
        "0 closed, 1 open",
        (Columns(_STATE, 7, 13),),
        POSE[:6],
        Cameras("image", "image_additional_view"),
        rate_hz=3.0,
    ),
    OxeRow(
        "furniture_bench_dataset_converted_externally_to_rlds",
        (Columns("action", 0, 3), Euler(Columns("action", 3, 7)), Gripper(Columns("action", 7, 8), clipped_inverted)),
        _CLOSING,
        (Columns(_STATE, 0, 7), Columns(_STATE, -1)),
        (*_QUATERNION, "gripper_width"),
        _TWO_CAMERAS,
        rate_hz=10.0,
        notes=("The recorded rotation is a quaternion, read as x, y, z, w.",),
    ),
    OxeRow(
        "ucsd_kitchen_dataset_converted_externally_to_rlds",
        _flat(as_recorded),
        _UNSTATED,
        (Columns(_STATE, 0, 7),),
        _JOINTS,
        _ONE_CAMERA,
        rate_hz=2.0,
        kind="eef_pose",
        names=POSE,
        open_is_one=False,
        notes=("By its description the action is a pose; OpenVLA trains on it as if it were a change of pose.",),
    ),
    OxeRow(
        "austin_sailor_dataset_converted_externally_to_rlds",
        _flat(clipped_inverted),
        _CLOSING,
        (Columns(_STATE),),
        (*_QUATERNION, "gripper"),
        _TWO_CAMERAS,
        rate_hz=20.0,
    ),
    OxeRow(
        "austin_sirius_dataset_converted_externally_to_rlds",
        _flat(clipped_inverted),
        _CLOSING,
        (Columns(_STATE),),
        (*_JOINTS, "gripper"),
        _TWO_CAMERAS,
        rate_hz=20.0,
        notes=("By its description the state is joints and gripper; OpenVLA takes it for position and quaternion.",),
    ),
    OxeRow(
        "dlr_edan_shared_control_converted_externally_to_rlds",
        _flat(inverted),
        "0 open, 1 closed",
        (Columns(_STATE),),
        (*POSE[:3], *_YAW_FIRST, "gripper"),
        _ONE_CAMERA,
        rate_hz=5.0,
        names=("dx", "dy", "dz", "dyaw", "dpitch", "droll", "gripper"),
        notes=("Its description speaks of positions, OpenVLA trains on it as a change; angles are Euler's zxy.",),
    ),
    OxeRow(
        "iamlab_cmu_pickup_insert_converted_externally_to_rlds",
        (Columns("action", 0, 3), Euler(Columns("action", 3, 7)), Gripper(Columns("action", 7, 8), as_recorded)),
        _UNSTATED,
        (Columns(_STATE, 0, 8),),
        (*_JOINTS, "gripper"),
        _TWO_CAMERAS,
        rate_hz=20.0,
        kind="eef_pose",
        names=POSE,
        open_is_one=False,
        notes=(
            "By its description the action is a pose; OpenVLA trains on it as if it were a change of pose.",
            "The recorded rotation is a quaternion, read as x, y, z, w as OpenVLA does; its order is not stated.",
        ),
    ),
    OxeRow(
        "utaustin_mutex",
        _flat(clipped_inverted),
        _CLOSING,
        (Columns(_STATE, 0, 8),),
        (*_JOINTS, "gripper"),
        _TWO_CAMERAS,
        rate_hz=20.0,
        notes=(_SWAPPED,),
    ),
    OxeRow(
        "berkeley_fanuc_manipulation",
        (Columns("action", 0, 6), Gripper(Columns(_STATE, 6, 7), inverted)),
        "not commanded: the measured one takes its place, 0 open, 1 closed as OpenVLA reads it",
        (Columns(_STATE, 0, 7),),
        (*_JOINTS[:6], "gripper"),
        _TWO_CAMERAS,
        rate_hz=10.0,
        notes=(_SWAPPED, "Its description calls the measured column the gripper's open status. Look at an episode."),
    ),
    OxeRow(
        "cmu_stretch",
        _flat(as_recorded),
        _UNSTATED,
        (Columns(_STATE),),
        ("x", "y", "z", "gripper"),
        _ONE_CAMERA,
        rate_hz=10.0,
        open_is_one=False,
        notes=("Its description speaks of positions, OpenVLA trains on it as a change.",),
    ),
    OxeRow(
        "fmb_dataset",
        (Columns("action"),),
        _UNSTATED,
        (Columns("observation/eef_pose"), Columns("observation/state_gripper_pose")),
        (*_QUATERNION, "gripper"),
        Cameras("image_side_1", "image_side_2", "image_wrist_1"),
        rate_hz=10.0,
        open_is_one=False,
        aliases=("fmb",),
    ),
    OxeRow(
        "dobbe",
        (Columns("action"),),
        _UNSTATED,
        (Columns(_STATE),),
        ("x", "y", "z", "rx", "ry", "rz", "gripper"),
        Cameras("wrist_image"),
        open_is_one=False,
        notes=("Recorded at 30 Hz; which rate the RLDS copy has is not stated.",),
    ),
)
