"""CALVIN's folders in the exact layout of its authors, with pictures that tell which time step they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FIRST = 358482
"""The first time step of CALVIN's debug set."""

TASKS = {"open_drawer": "pull the handle to open the drawer", "push_red_block_left": "push the red block to the left"}


def picture(step: int, size: int) -> npt.NDArray[np.uint8]:
    """A gradient with a block that moves on with `step`."""
    ramp = np.linspace(0, 200, size, dtype=np.uint8)
    rgb = np.stack([np.tile(ramp, (size, 1)), np.tile(ramp[:, None], (1, size)), np.full((size, size), 90)], axis=-1)
    at = step % (size - 8)
    rgb[8:16, at : at + 8] = (230, 40, 20)
    return rgb.astype(np.uint8)


def arrays(step: int, size: int = 24) -> dict[str, npt.NDArray[Any]]:
    """All arrays of one time step, of the names, dtypes and widths that CALVIN has; pictures are smaller."""
    t = (step - FIRST) / 30
    pose = np.array([0.1 * np.sin(t), -0.2 + 0.05 * t, 0.5, np.pi - t, 0.1 * t, 1.5 + 0.2 * t])
    gripper = 1.0 if step % 16 < 8 else -1.0
    change = np.array([0.03, 0.01, -0.002, -0.06, 0.003, 0.007]) * np.cos(t + np.arange(6))
    relative = np.clip(change * [50, 50, 50, 20, 20, 20], -1, 1)
    robot = np.concatenate([pose + 0.001, [0.08], np.sin(t + np.arange(7)), [gripper]])
    return {
        "rgb_static": picture(step, size),
        "rgb_gripper": picture(step + 5, size - 8),
        "rgb_tactile": np.zeros((12, 10, 6), np.uint8),
        "depth_static": np.full((size, size), 3.5, np.float32),
        "depth_gripper": np.full((size - 8, size - 8), 0.4, np.float32),
        "depth_tactile": np.zeros((12, 10, 2), np.float32),
        "actions": np.append(pose, gripper),
        "rel_actions": np.append(relative, gripper),
        "robot_obs": robot,
        "scene_obs": np.linspace(0, 1, 24) + t,
    }


def write_step(folder: Path, step: int, compressed: bool = True, **changes: Any) -> Path:
    """One time step; a change to None leaves an array away."""
    values = {name: value for name, value in {**arrays(step), **changes}.items() if value is not None}
    file = folder / f"episode_{step:07d}.npz"
    (np.savez_compressed if compressed else np.savez)(file, **values)
    return file


def annotations(windows: list[tuple[int, int]]) -> dict[str, Any]:
    """A document as CALVIN's annotator writes it, of windows relative to `FIRST`; tasks take turns."""
    names = [list(TASKS)[n % len(TASKS)] for n in range(len(windows))]
    return {
        "language": {
            "ann": [TASKS[name] for name in names],
            "task": names,
            "emb": np.zeros((len(windows), 1, 384), np.float32),
        },
        "info": {"episodes": [], "indx": [(FIRST + start, FIRST + end) for start, end in windows]},
    }


def write_annotations(folder: Path, document: Any, name: str = "lang_annotations") -> Path:
    """`auto_lang_ann.npy` of a split."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    np.save(folder / name / "auto_lang_ann.npy", document, allow_pickle=True)
    return folder / name / "auto_lang_ann.npy"


def write_split(
    folder: Path, windows: list[tuple[int, int]] | None, steps: int = 24, ranges: list[tuple[int, int]] | None = None
) -> Path:
    """A split with `steps` time steps from `FIRST` on; windows and ranges are relative to that, both ends included."""
    folder.mkdir(parents=True)
    for step in range(FIRST, FIRST + steps):
        write_step(folder, step)
    np.save(folder / "ep_start_end_ids.npy", np.array(ranges or [(0, steps - 1)]) + FIRST)
    if windows is not None:
        write_annotations(folder, annotations(windows))
    return folder
