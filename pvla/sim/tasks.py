"""What it means to have done a task: conditions on the state of the scene, never on what the robot did."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pvla.sim.scene import TABLE_Z, Scene

LIFT = 0.08
"""Free height under the held peach that counts as picked up, m."""

OPEN_DRAWER = 0.13
"""Opening of the drawer that counts as open, m."""

STILL = 0.05
"""Speed under which an object counts as at rest, m/s."""

PEACH_RADIUS = 0.025


class SuccessCheck:
    """Follows one episode and says whether its task is done now.

    A condition counts once it has held for as many steps in a row as its task asks for, so that a peach thrown up
    or an orange that rolls over the plate is no success.

    Args:
        task: one of ``pvla.sim.instructions.TASKS``.
    """

    def __init__(self, task: str) -> None:
        self._condition = CONDITIONS[task]
        self._needed = STEPS_IN_A_ROW[task]
        self._held = 0

    def update(self, scene: Scene) -> bool:
        """Look at the scene after a control step."""
        self._held = self._held + 1 if self._condition(scene) else 0
        return self._held >= self._needed


def peach_is_lifted(scene: Scene) -> bool:
    """The peach is between the fingers, well above the table."""
    peach = scene.position("peach")
    between = np.linalg.norm(peach - scene.tcp()) < PEACH_RADIUS
    return bool(between and peach[2] - PEACH_RADIUS - TABLE_Z >= LIFT) and scene.touches_hand("peach")


def drawer_is_open(scene: Scene) -> bool:
    """The drawer is open nearly to its stop."""
    return scene.drawer() >= OPEN_DRAWER


def bowls_are_stacked(scene: Scene) -> bool:
    """One bowl sits upright inside the other and the hand has let go of both."""
    offset = scene.position("bowl_blue") - scene.position("bowl_yellow")
    nested = np.hypot(offset[0], offset[1]) < 0.015 and 0.006 < abs(offset[2]) < 0.030
    return bool(nested) and all(
        _upright(scene, name) and _left_alone(scene, name) for name in ("bowl_blue", "bowl_yellow")
    )


def orange_is_on_plate(scene: Scene) -> bool:
    """The orange rests on the plate and the hand has let go of it."""
    offset = scene.position("orange") - scene.position("plate")
    above = np.hypot(offset[0], offset[1]) < 0.055 and 0.025 < offset[2] < 0.050
    return bool(above) and _upright(scene, "plate") and _left_alone(scene, "orange")


def toy_is_in_drawer(scene: Scene) -> bool:
    """The toy lies between the drawer's walls, below their edge, and the hand has let go of it."""
    x, y, z = scene.position("toy") - scene.position("drawer")
    inside = 0.005 < x < 0.148 and abs(y) < 0.053 and 0.0 < z < 0.05
    return bool(inside) and _left_alone(scene, "toy")


def _upright(scene: Scene, name: str) -> bool:
    return bool(scene.rotation(name)[2, 2] > 0.97)


def _left_alone(scene: Scene, name: str) -> bool:
    return scene.speed(name) < STILL and not scene.touches_hand(name)


CONDITIONS: dict[str, Callable[[Scene], bool]] = {
    "pick_peach": peach_is_lifted,
    "open_drawer": drawer_is_open,
    "stack_bowls": bowls_are_stacked,
    "orange_to_plate": orange_is_on_plate,
    "toy_to_drawer": toy_is_in_drawer,
}

STEPS_IN_A_ROW = {"pick_peach": 3, "open_drawer": 1, "stack_bowls": 2, "orange_to_plate": 2, "toy_to_drawer": 2}
