"""What robosuite's actions mean: robomimic, MimicGen, RoboCasa and LIBERO record them.

`OSC_POSE` takes for each arm a change of the hand's pose (x, y, z, and a rotation vector) and a gripper command. The
pose part lies in [-1, 1] and is scaled by `output_max`, by default 0.05 m and 0.5 rad (robosuite/controllers/config/
osc_pose.json). In robosuite 1.4 both are in the frame of the world: the goal is position + delta, and the rotation is
multiplied from the left (`control_utils.set_goal_position`, `set_goal_orientation`); 1.5 says it in `input_ref_frame`.
All its grippers open at -1 and close at +1 (`GripperModel.format_action`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from pvla.datasets.convert.source import Damaged
from pvla.datasets.schema import ActionKind, ActionSpace

POSE: Final = ["x", "y", "z", "rx", "ry", "rz"]
ARM: Final = [*POSE, "gripper"]
UNITS: Final = ["m"] * 3 + ["rad"] * 3
SCALE: Final = [0.05, 0.05, 0.05, 0.5, 0.5, 0.5]
OPEN_IS_ONE: Final[Literal["1 = open, 0 = closed"]] = "1 = open, 0 = closed"


def delta_space(scale: list[float], frame: str, fps: float, names: Sequence[str] = ARM) -> ActionSpace:
    """Changes of the hand's pose; a unit "0.05 m" means that 1 in that column is 0.05 m."""
    return _space("eef_delta", names, [f"{size:g} {unit}" for size, unit in zip(scale, UNITS, strict=True)], frame, fps)


def _space(kind: ActionKind, names: Sequence[str], units: Sequence[str], frame: str, fps: float) -> ActionSpace:
    """Actions of one or more arms; `units` are of a pose's six columns."""
    by_column = dict(zip(POSE, units, strict=True))
    return ActionSpace(
        kind=kind,
        names=list(names),
        units=[by_column.get(name.rpartition(".")[2], "1") for name in names],
        frame=frame,
        gripper=OPEN_IS_ONE if any(name.endswith("gripper") for name in names) else "none",
        rate_hz=fps,
    )


def unknown_space(width: int, fps: float) -> ActionSpace:
    """Actions of which nothing is known."""
    return ActionSpace(
        kind="unknown",
        names=[f"a{i}" for i in range(width)],
        units=["?"] * width,
        frame="?",
        gripper="as recorded",
        rate_hz=fps,
    )


def action_space(env_kwargs: dict[str, Any], width: int, fps: float) -> ActionSpace | None:
    """What the actions of a robosuite environment mean, None if its arguments do not say it.

    Args:
        env_kwargs: of `env_args`.
        width: columns of an action.
        fps: control steps a second.
    """
    controller = _controller(env_kwargs.get("controller_configs"))
    names = _names(width)
    if controller.get("type") != "OSC_POSE" or controller.get("impedance_mode", "fixed") != "fixed" or not names:
        return None
    frame = str(controller.get("input_ref_frame", "base" if "input_type" in controller else "world"))
    if not controller.get("control_delta", controller.get("input_type", "delta") == "delta"):
        return _space("eef_pose", names, UNITS, frame, fps)
    scale = _scale(controller)
    return None if scale is None else delta_space(scale, frame, fps, names)


def recorded_env(env_info: dict[str, Any]) -> dict[str, Any]:
    """What robosuite's own recorder says (`env_info`: the name and the arguments side by side), as `env_args`."""
    return {"env_name": env_info["env_name"], "env_kwargs": env_info} if "env_name" in env_info else {}


def cut_off(action: npt.NDArray[Any], space: ActionSpace) -> int:
    """Frames with a command beyond [-1, 1], which the controller cuts off (`Controller.scale_action`).

    Args:
        action: (T, A) as recorded.
        space: what it means.
    """
    poses = [not name.endswith("gripper") for name in space.names]
    return int((np.abs(action[:, poses]) > 1).any(axis=1).sum())


def open_is_one(action: npt.NDArray[Any], names: list[str]) -> npt.NDArray[np.float64]:
    """The gripper's columns, -1 open and +1 closed, as 1 open and 0 closed: (1 - g) / 2; the rest as it is.

    Args:
        action: (T, A) as recorded.
        names: of its columns.

    Raises:
        Damaged: it has another number of columns.
    """
    if action.shape[1] != len(names):
        raise Damaged(f"Its action has {action.shape[1]} columns, that of the other episodes has {len(names)}.")
    grippers = [name.endswith("gripper") for name in names]
    turned = action.astype(np.float64)
    turned[:, grippers] = (1 - turned[:, grippers]) / 2
    return turned


def _names(width: int) -> list[str]:
    """Columns of arms with grippers, else of bare ones (as in robosuite's Wipe); [] if the width is of neither."""
    for columns in (ARM, POSE):
        arms, rest = divmod(width, len(columns))
        if arms == 1 and not rest:
            return columns
        if arms and not rest:
            return [f"robot{arm}.{name}" for arm in range(arms) for name in columns]
    return []


def _controller(configs: object) -> dict[str, Any]:
    """The controller of the arms: 1.4 has one document for all, 1.5 one for each part of the body."""
    if isinstance(configs, list) and configs and all(config == configs[0] for config in configs):
        configs = configs[0]
    if not isinstance(configs, dict):
        return {}
    parts = configs.get("body_parts")
    if isinstance(parts, dict):
        return next((part for part in parts.values() if len(parts) == 1 and isinstance(part, dict)), {})
    return configs


def _scale(controller: dict[str, Any]) -> list[float] | None:
    """What 1 means in each of the six columns, None where input is not [-1, 1] or output is not symmetric."""
    limits = [controller.get(name, default) for name, default in (("output_max", SCALE), ("output_min", None))]
    high, low = (_six(limit) for limit in limits)
    if high is None or _six(controller.get("input_max", 1)) != [1.0] * 6:
        return None
    return high if low is None or low == [-size for size in high] else None


def _six(value: object) -> list[float] | None:
    values = [item for item in (value if isinstance(value, list) else [value] * 6) if isinstance(item, (int, float))]
    return [float(item) for item in values] if len(values) == 6 else None
