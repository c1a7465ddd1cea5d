"""One row of the table of Open X-Embodiment's conventions: what a dataset means by its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pvla.datasets.convert.oxe.actions import Columns, Part, Rows, Steps, reached, side_by_side
from pvla.datasets.convert.source import Damaged
from pvla.datasets.schema import ActionKind, ActionSpace

WIDTH: Final = 7
DELTA: Final = ("dx", "dy", "dz", "droll", "dpitch", "dyaw", "gripper")
POSE: Final = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
VELOCITY: Final = ("vx", "vy", "vz", "wx", "wy", "wz", "gripper")
UNKNOWN: Final = ("?", "?", "?", "?", "?", "?", "1")
METERS: Final = ("m", "m", "m", "rad", "rad", "rad", "1")


@dataclass(frozen=True)
class Standardised:
    """One episode's numbers in the common form.

    Attributes:
        action: (T', 7) float32, pose or change of pose or velocity, then the gripper.
        state: (T', S) float32, None of a dataset without.
        keep: which of the T steps the rows are of (T,).
        names: of the action's columns.
        notes: which steps were dropped, and why.
    """

    action: npt.NDArray[np.float32]
    state: npt.NDArray[np.float32] | None
    keep: npt.NDArray[np.bool_]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cameras:
    """Keys below `observation/` of the cameras, as OpenVLA and Octo assign them; None where there is none."""

    primary: str | None = None
    secondary: str | None = None
    wrist: str | None = None

    def rank(self, feature: str) -> int:
        """The place of a step's feature (`observation/image`) in a list that begins with these cameras."""
        keys = [self.primary, self.secondary, self.wrist]
        key = feature.removeprefix("observation/")
        return keys.index(key) if key in keys else len(keys)


@dataclass(frozen=True)
class OxeRow:
    """What one dataset means by its numbers, as far as it is stated somewhere.

    Attributes:
        name: the dataset's in OpenVLA's selection.
        action: parts that make the 7 columns, side by side.
        gripper: the recorded convention, in words.
        state: parts that make the state, () of a dataset without.
        state_names: of its columns.
        cameras: their keys.
        instruction: the key of its text.
        rate_hz: control steps a second, None where nothing was published or figures contradict each other.
        kind: of all action columns but the gripper's.
        names: of the action's columns.
        units: of them; "?" where they are not stated.
        frame: of the pose; "?" where it is not stated.
        open_is_one: whether the gripper's column is known to be 1 open, 0 closed; else it is as recorded.
        reached: pose (6) whose change within a step takes the place of the recorded action's first 6 columns, as
            OpenVLA trains on it; the first and the last step are dropped with it. The reader takes it away unless the
            user has chosen next-state: by default actions are what was recorded.
        aliases: other names of the same data.
        notes: what to know of it, where sources contradict each other or say less than one would like.
    """

    name: str
    action: tuple[Part, ...]
    gripper: str
    state: tuple[Part, ...]
    state_names: tuple[str, ...]
    cameras: Cameras
    instruction: str = "language_instruction"
    rate_hz: float | None = None
    kind: ActionKind = "eef_delta"
    names: tuple[str, ...] = DELTA
    units: tuple[str, ...] = UNKNOWN
    frame: str = "?"
    open_is_one: bool = True
    reached: Columns | None = None
    aliases: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def action_space(self, fps: float) -> ActionSpace:
        """What the store says about the action, at `fps` control steps a second."""
        return ActionSpace(
            kind=self.kind,
            names=list(self.names),
            units=list(self.units),
            frame=self.frame,
            gripper="1 = open, 0 = closed" if self.open_is_one else "as recorded",
            rate_hz=fps,
        )

    def apply(self, steps: Mapping[str, npt.NDArray[Any]]) -> Standardised:
        """One episode in the common form.

        Args:
            steps: its numeric arrays, (T, ...) by key without `steps/`.

        Raises:
            Damaged: it does not have what the row says it has.
        """
        length = _length(steps)
        action = side_by_side(self.action, steps, length)
        if action.shape[1] != WIDTH:
            raise Damaged(f"Its action has {action.shape[1]} columns where {self.name} has {WIDTH}.")
        state = side_by_side(self.state, steps, length) if self.state else None
        if state is not None and state.shape[1] != len(self.state_names):
            raise Damaged(f"Its state has {state.shape[1]} columns where {self.name} has {len(self.state_names)}.")
        keep, notes = np.ones(length, bool), tuple[str, ...]()
        if self.reached is not None:
            action, keep, notes = _relabelled(action, self.reached.rows(steps, length))
        kept_state = None if state is None else state[keep].astype(np.float32)
        return Standardised(action[keep].astype(np.float32), kept_state, keep, self.names, notes)


def _length(steps: Steps) -> int:
    """T, of the first array that belongs to the action."""
    for key, values in steps.items():
        if key == "action" or key.startswith(("action/", "action_dict/")):
            return len(values)
    raise Damaged("Its steps have no numeric action.")


def _relabelled(action: Rows, pose: Rows) -> tuple[Rows, npt.NDArray[np.bool_], tuple[str, ...]]:
    """Bridge's rule: the action is what was reached; the first step's is all zero, after the last nothing is known."""
    keep = np.ones(len(action), bool)
    keep[:1] = keep[-1:] = False
    relabelled = action.copy()
    relabelled[:-1, :6] = reached(pose)
    notes = ("the first step, whose action is empty, and the last, after which no state is known",)
    return relabelled, keep, notes
