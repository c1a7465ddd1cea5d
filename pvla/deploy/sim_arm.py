"""The simulated robot: an arm and cameras over the tabletop environment, one control step of physics per command.

Time is the loop's: between two commands the simulation stands still, so that a picture and a measurement of one tick
always belong together, and a loaded machine slows the run down instead of spoiling it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pvla.deploy.clock import Clock
from pvla.deploy.hardware import ArmState, Frame
from pvla.deploy.manifest import BundleManifest
from pvla.errors import InputError
from pvla.sim.env import RATE_HZ, TabletopEnv
from pvla.sim.kinematics import forward

Array = npt.NDArray[Any]

SETTLE_STEPS = 5
"""Control steps of physics that a hold lasts: long enough for a released object to come to rest."""


class SimKinematics:
    """Forward kinematics of the simulated arm."""

    def tcp(self, q: Array) -> Array:
        """Point (3,) in m between the finger pads, base frame (= world), at joint angles q (6,) in rad."""
        position, _ = forward(np.asarray(q, np.float64))
        return position


class SimArm:
    """The simulated arm; every command is one control step of the environment.

    Args:
        env: the environment, reset.
        clock: the loop's clock.
    """

    def __init__(self, env: TabletopEnv, clock: Clock) -> None:
        self._env = env
        self._clock = clock
        self._last: npt.NDArray[np.float32] = env.scene.state().astype(np.float32)
        self.success = False
        self.success_step: int | None = None
        self.steps = 0

    def read(self) -> ArmState:
        """The state of the scene now."""
        state = self._env.scene.state()
        return ArmState(state[:6], float(state[6]), self._clock.now())

    def command(self, q: Array, gripper: float) -> None:
        """One control step towards the target."""
        self._last = np.append(q, gripper).astype(np.float32)
        self._step()

    def hold(self) -> None:
        """Let the scene come to rest around the arm."""
        for _ in range(SETTLE_STEPS):
            self._step()

    def damp(self) -> None:
        """Nothing: the simulated motors hold what they hold."""

    def close(self) -> None:
        """Nothing: the environment belongs to the caller."""

    def extras(self) -> dict[str, Array]:
        """What only a simulator knows, to be recorded: tool, objects, and all positions for pictures made later."""
        scene = self._env.scene
        return {"tcp": scene.tcp(), "objects": scene.objects().ravel(), "qpos": self._env.qpos()}

    def _step(self) -> None:
        _, _, _, _, info = self._env.step(self._last)
        self.steps += 1
        self.success = bool(info["success"])
        if self.success and self.success_step is None:
            self.success_step = self.steps


class SimCamera:
    """A camera of the simulated scene; a picture is made when it is asked for, of the scene as it then is."""

    def __init__(self, env: TabletopEnv, name: str, width: int, height: int, clock: Clock) -> None:
        self._env, self._name, self._size, self._clock = env, name, (width, height), clock

    def read(self) -> Frame:
        """A picture of the scene now."""
        return Frame(self._env.picture(self._name, *self._size), self._clock.now())

    def close(self) -> None:
        """Nothing: the environment belongs to the caller."""


def check_fits_simulator(manifest: BundleManifest) -> None:
    """Raise InputError unless a bundle's policy speaks the simulated robot's language."""
    names = {camera.name for camera in manifest.cameras}
    if manifest.dims.action_dim != 7 or manifest.dims.state_dim != 7 or not names <= {"head", "wrist"}:
        raise InputError(
            f"Bundle {manifest.name} is not for the simulated arm: that has 6 joints, a gripper, and the cameras head "
            "and wrist."
        )
    if manifest.control.rate_hz != RATE_HZ:
        raise InputError(f"Bundle {manifest.name} runs at {manifest.control.rate_hz:g} Hz, the simulator at {RATE_HZ}.")
