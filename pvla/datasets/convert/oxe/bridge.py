"""Open X-Embodiment's table, part 1: the two versions of BridgeData V2, and LIBERO as RLDS."""

from __future__ import annotations

from typing import Final

from pvla.datasets.convert.oxe.actions import Columns, Gripper, as_recorded, clipped_inverted, decided
from pvla.datasets.convert.oxe.row import METERS, POSE, Cameras, OxeRow

_STATE: Final = Columns("observation/state", 0, 7)
_POSE: Final = Columns("observation/state", 0, 6)
_RELABELLED: Final = (
    "OpenVLA takes the pose that is reached in place of the recorded command: --action next-state does the same."
)

ROWS: Final = (
    OxeRow(
        "bridge_orig",
        (Columns("action", 0, 6), Gripper(Columns("action", 6, 7), decided)),
        "0 closed to 1 open, with values between while it moves",
        (_STATE,),
        POSE,
        Cameras("image_0", "image_1"),
        rate_hz=5.0,
        units=METERS,
        frame="base",
        reached=_POSE,
        aliases=("bridge_dataset",),
    ),
    OxeRow(
        "bridge_oxe",
        (
            *(Columns("action/world_vector"), Columns("action/rotation_delta")),
            Gripper(Columns("action/open_gripper"), as_recorded),
        ),
        "true where it is open",
        (_STATE,),
        POSE,
        Cameras("image", "image_1"),
        "observation/natural_language_instruction",
        rate_hz=5.0,
        units=METERS,
        frame="base",
        reached=_POSE,
        aliases=("bridge",),
    ),
    OxeRow(
        "libero_no_noops",
        (Columns("action", 0, 6), Gripper(Columns("action", 6, 7), clipped_inverted)),
        "-1 open, +1 closed",
        (Columns("observation/state"),),
        ("x", "y", "z", "rx", "ry", "rz", "gripper_left", "gripper_right"),
        Cameras("image", wrist="wrist_image"),
        rate_hz=20.0,
        names=("dx", "dy", "dz", "drx", "dry", "drz", "gripper"),
        units=(*["0.05 m"] * 3, *["0.5 rad"] * 3, "1"),
        frame="world",
        aliases=(
            *("libero_spatial_no_noops", "libero_object_no_noops", "libero_goal_no_noops", "libero_10_no_noops"),
            "libero_90_no_noops",
        ),
        notes=("Rotations are rotation vectors, scaled as robosuite's OSC_POSE does.",),
    ),
)
