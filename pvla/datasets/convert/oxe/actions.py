"""How the columns of an action are made of the arrays of a step, and the rules for grippers.

Every dataset of Open X-Embodiment has its own layout; here are the few rules by which all of them become 7 columns.
They are OpenVLA's (prismatic/vla/datasets/rlds/oxe/transforms.py and ../utils/data_utils.py), so that who trains on the
same selection trains on the same numbers. Rules for grippers give 1 for open and 0 for closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from pvla.datasets.convert.source import Damaged

Steps = Mapping[str, npt.NDArray[Any]]
"""Arrays of the steps of one episode, (T, ...) by key, as "action" or "observation/state"."""

Rows = npt.NDArray[np.float64]
Rule = Callable[[Rows], Rows]

_RELATIVE: Final = 0.1  # a relative command that is nearer to 0 changes nothing
_OPEN: Final = 0.95
_CLOSED: Final = 0.05
_SHOWN: Final = 8


def as_recorded(gripper: Rows) -> Rows:
    """What the dataset has, (T,)."""
    return gripper


def clipped(gripper: Rows) -> Rows:
    """Limited to 0..1 (T,): -1 closed, +1 open becomes 0 and 1."""
    return np.clip(gripper, 0.0, 1.0)


def inverted(gripper: Rows) -> Rows:
    """1 - g (T,): 0 open, 1 closed becomes 1 and 0."""
    return 1.0 - gripper


def clipped_inverted(gripper: Rows) -> Rows:
    """1 - g limited to 0..1 (T,): -1 open, +1 closed becomes 1 and 0."""
    return inverted(clipped(gripper))


def from_relative(gripper: Rows) -> Rows:
    """Absolute from relative commands (T,), where +1 closes, -1 opens, and what is within 0.1 of 0 changes nothing.

    Before its first command the gripper was in the other state than that asks for; without any command it is open.
    """
    command = np.where(gripper < -_RELATIVE, 1.0, np.where(gripper > _RELATIVE, 0.0, np.nan))
    commanded = np.flatnonzero(~np.isnan(command))
    if not len(commanded):
        return np.ones(len(gripper))
    latest = np.maximum.accumulate(np.where(np.isnan(command), -1, np.arange(len(command))))
    return np.where(latest < 0, 1.0 - command[commanded[0]], command[latest])


def decided(gripper: Rows) -> Rows:
    """0 or 1 from positions in 0..1 (T,): what is between 0.05 and 0.95 is on its way to the next that is not.

    Values between at the episode's end, with no decided one after them, all become the last of them.
    """
    known = (gripper > _OPEN) | (gripper < _CLOSED)
    state = np.where(gripper > _OPEN, 1.0, 0.0)
    following = np.minimum.accumulate(np.where(known, np.arange(len(known)), len(known))[::-1])[::-1]
    return np.append(state, gripper[-1:])[np.minimum(following, len(gripper))] if len(gripper) else gripper


def euler_from_quaternion(quaternion: Rows) -> Rows:
    """Roll, pitch, yaw (T, 3) rad, the rotation Rz(yaw) Ry(pitch) Rx(roll), from x, y, z, w (T, 4) of any length."""
    norm = np.linalg.norm(quaternion, axis=1, keepdims=True)
    x, y, z, w = (quaternion / np.where(norm > 0, norm, 1.0)).T
    roll = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = np.arcsin(np.clip(2 * (w * y - z * x), -1.0, 1.0))
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return np.stack([roll, pitch, yaw], axis=1)


class Part(Protocol):
    """Some columns of an action or a state."""

    def rows(self, steps: Steps, length: int) -> Rows:
        """The columns (T, n) of an episode of T = `length` steps.

        Raises:
            Damaged: the episode does not have what they are made of.
        """
        ...


@dataclass(frozen=True)
class Columns:
    """Columns `start` to `stop`, last one excluded, of the array `key`, as recorded."""

    key: str
    start: int = 0
    stop: int | None = None

    def rows(self, steps: Steps, length: int) -> Rows:
        """The columns (T, n)."""
        if self.key not in steps:
            have = ", ".join(sorted(steps)[:_SHOWN])
            raise Damaged(f"Its steps have no {self.key}; their first arrays are {have or 'none'}.")
        values = np.asarray(steps[self.key])
        if len(values) != length:
            raise Damaged(f"It has {len(values)} rows of {self.key} for {length} steps.")
        return values.reshape(length, -1)[:, self.start : self.stop].astype(np.float64)


@dataclass(frozen=True)
class Constant:
    """`width` columns of one value, where a robot does not have what they command."""

    value: float
    width: int

    def rows(self, steps: Steps, length: int) -> Rows:
        """The columns (T, width)."""
        return np.full((length, self.width), self.value)


@dataclass(frozen=True)
class Gripper:
    """The gripper's column, by a rule from a recorded one."""

    source: Columns
    rule: Rule

    def rows(self, steps: Steps, length: int) -> Rows:
        """The column (T, 1)."""
        recorded = self.source.rows(steps, length)
        if recorded.shape[1] != 1:
            raise Damaged(f"Its {self.source.key} has {recorded.shape[1]} columns where the gripper's should be.")
        return self.rule(recorded[:, 0])[:, None]


@dataclass(frozen=True)
class Euler:
    """Roll, pitch, yaw from a quaternion x, y, z, w."""

    source: Columns

    def rows(self, steps: Steps, length: int) -> Rows:
        """The columns (T, 3) rad."""
        quaternion = self.source.rows(steps, length)
        if quaternion.shape[1] != 4:
            raise Damaged(f"Its {self.source.key} has {quaternion.shape[1]} columns where a quaternion should be.")
        return euler_from_quaternion(quaternion)


def side_by_side(parts: tuple[Part, ...], steps: Steps, length: int) -> Rows:
    """The columns of all parts (T, n)."""
    return np.concatenate([part.rows(steps, length) for part in parts], axis=1)


def reached(pose: Rows) -> Rows:
    """The change of pose that is reached within each step but the last (T - 1, 6), of x, y, z and 3 angles (T, 6).

    Angles change the short way round; OpenVLA's rule does not see to that, it differs where one passes +-pi.
    """
    change = np.diff(pose, axis=0)
    change[:, 3:] = (change[:, 3:] + np.pi) % (2 * np.pi) - np.pi
    return change
