"""Which camera of a dataset is meant: by its name, or by its role, since every dataset has names of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pvla.datasets.schema import DatasetInfo
from pvla.errors import InputError

SCENE: Final = "scene"
WRIST: Final = "wrist"
ROLES: Final = (SCENE, WRIST)
_ON_THE_ARM: Final = ("wrist", "hand", "gripper", "tactile")


def role(camera: str) -> str:
    """`wrist` of a camera whose name says that it is on the arm or in the hand, else `scene`.

    `handheld` cameras do not occur, `eye_in_hand`, `hand_camera`, `cam_left_wrist` and `rgb_gripper` do.
    """
    return WRIST if any(word in camera.lower() for word in _ON_THE_ARM) else SCENE


def choose(info: DatasetInfo, wanted: Sequence[str]) -> list[str | None]:
    """For each wanted name or role the dataset's camera, None where it has none of that role.

    A name that the dataset has is meant before a role of the same name; of several cameras of one role the first is
    taken that is not yet; none is taken twice.

    Raises:
        InputError: a name is neither a camera of the dataset nor a role, or the dataset has none of them all.
    """
    free = [camera.name for camera in info.cameras]
    chosen: list[str | None] = [None] * len(wanted)
    for called in ({camera: camera for camera in free}, {camera: role(camera) for camera in free}):
        for place, want in enumerate(wanted):
            if chosen[place] is None:
                chosen[place] = next((camera for camera in free if called[camera] == want), None)
                free = [camera for camera in free if camera != chosen[place]]
    unknown = [want for want, camera in zip(wanted, chosen, strict=True) if camera is None and want not in ROLES]
    if unknown or (wanted and not any(chosen)):
        has = ", ".join(f"{camera.name} ({role(camera.name)})" for camera in info.cameras) or "no cameras"
        asked = unknown[0] if unknown else " or ".join(wanted)
        raise InputError(f"Dataset {info.name} has no camera {asked}: it has {has}; give names or roles.")
    return chosen
