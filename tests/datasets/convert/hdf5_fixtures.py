"""HDF5 files as robomimic, Isaac Lab, LIBERO, ALOHA and ARX's collectors write them, small and with known content."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from PIL import Image

Numbers = npt.NDArray[np.float64]


def numbers(seed: int, *shape: int) -> Numbers:
    """Numbers that float32 keeps as they are."""
    return np.random.default_rng(seed).integers(-512, 512, shape) / 1024


def pictures(seed: int, frames: int, height: int = 24, width: int = 32) -> npt.NDArray[np.uint8]:
    """A gradient with a block that moves to the right: no two frames, corners or seeds are the same."""
    rows, columns = np.mgrid[:height, :width]
    base = np.stack([rows * 8, columns * 6, np.full_like(rows, 40 + 20 * seed % 160)], axis=-1).astype(np.uint8)
    video = np.repeat(base[None], frames, axis=0)
    for t in range(frames):
        video[t, 4:10, 2 + t : 8 + t] = (255, 30, 20 * seed % 250)
    return video


def jpeg(rgb: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def padded(encoded: list[bytes], more: int = 5) -> npt.NDArray[np.uint8]:
    """JPEG in rows of one length, filled up with zeros."""
    longest = max(len(data) for data in encoded) + more
    return np.stack([np.frombuffer(data.ljust(longest, b"\0"), np.uint8) for data in encoded])


def write(group: h5py.Group, content: dict[str, Any]) -> None:
    for path, value in content.items():
        group.create_dataset(path, data=value)


ROBOSUITE = {
    "env_name": "NutAssemblySquare",
    "type": 1,
    "env_kwargs": {
        "control_freq": 25,
        "reward_shaping": False,
        "robots": ["Panda"],
        "controller_configs": {
            "type": "OSC_POSE",
            "input_max": 1,
            "input_min": -1,
            "output_max": [0.05, 0.05, 0.05, 0.5, 0.5, 0.5],
            "output_min": [-0.05, -0.05, -0.05, -0.5, -0.5, -0.5],
            "control_delta": True,
        },
    },
}
ISAAC = {"env_name": "Isaac-Stack-Cube-Franka-IK-Rel-Mimic-v0", "type": 2}


def robosuite_demo(seed: int, frames: int, images: bool = True) -> dict[str, Any]:
    """The datasets of one demonstration of robomimic, made in robosuite."""
    action = np.concatenate([numbers(seed, frames, 6), np.where(np.arange(frames)[:, None] < 2, -1.0, 1.0)], axis=1)
    content: dict[str, Any] = {
        "actions": action,
        "states": numbers(seed + 1, frames, 45),
        "rewards": (np.arange(frames) == frames - 1).astype(np.float64),
        "dones": (np.arange(frames) == frames - 1).astype(np.int64),
        "obs/robot0_joint_pos": numbers(seed + 2, frames, 7),
        "obs/robot0_eef_quat": numbers(seed + 3, frames, 4),
        "obs/robot0_eef_pos": numbers(seed + 4, frames, 3),
        "obs/robot0_gripper_qpos": numbers(seed + 5, frames, 2),
        "obs/object": numbers(seed + 6, frames, 14),
        "next_obs/object": numbers(seed + 7, frames, 14),
    }
    if images:
        content["obs/agentview_image"] = pictures(seed, frames)
        content["obs/robot0_eye_in_hand_image"] = pictures(seed + 1, frames)
        content["obs/agentview_depth"] = np.ones((frames, 48, 32, 1), np.float32) * 2
    return content


def isaac_demo(seed: int, frames: int) -> dict[str, Any]:
    """The datasets of one demonstration of Isaac Lab Mimic, without pictures."""
    return {
        "actions": numbers(seed, frames, 7).astype(np.float32),
        "initial_state/articulation/robot/joint_position": numbers(seed, 1, 9),
        "obs/eef_pos": numbers(seed + 1, frames, 3).astype(np.float32),
        "obs/eef_quat": numbers(seed + 2, frames, 4).astype(np.float32),
        "obs/gripper_pos": numbers(seed + 3, frames, 2).astype(np.float32),
        "obs/cube_positions": numbers(seed + 4, frames, 9).astype(np.float32),
        "obs/datagen_info/eef_pose/franka": numbers(seed + 5, frames, 4, 4).astype(np.float32),
        "obs/datagen_info/subtask_term_signals/grasp_1": np.arange(frames) > 1,
        "states/articulation/robot/joint_position": numbers(seed + 6, frames, 9).astype(np.float32),
    }


def make_robomimic(
    file: Path,
    demos: dict[str, dict[str, Any]],
    env: dict[str, Any] | None = None,
    attrs: dict[str, Any] | None = None,
    masks: dict[str, list[str]] | None = None,
) -> Path:
    """A file with these demonstrations; `attrs` go to each of them, beside num_samples."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as opened:
        data = opened.create_group("data")
        data.attrs["env_args"] = json.dumps(env or ROBOSUITE)
        data.attrs["total"] = sum(len(demo["actions"]) for demo in demos.values())
        for name, content in demos.items():
            write(data.create_group(name), content)
            data[name].attrs.update({"num_samples": len(content["actions"]), **(attrs or {})})
        for name, members in (masks or {}).items():
            opened[f"mask/{name}"] = np.array(members, "S")
    return file


def libero_demo(seed: int, frames: int, side: int = 16) -> dict[str, Any]:
    """The datasets of one of LIBERO's demonstrations."""
    action = np.concatenate([numbers(seed, frames, 6), np.where(np.arange(frames)[:, None] < 2, -1.0, 1.0)], axis=1)
    position, rotation = numbers(seed + 1, frames, 3), numbers(seed + 2, frames, 3)
    last = (np.arange(frames) == frames - 1).astype(np.uint8)
    return {
        "actions": action,
        "states": numbers(seed + 3, frames, 20 + seed % 3),
        "robot_states": numbers(seed + 4, frames, 9),
        "rewards": last,
        "dones": last,
        "obs/agentview_rgb": pictures(seed, frames, side, side),
        "obs/eye_in_hand_rgb": pictures(seed + 1, frames, side, side),
        "obs/ee_pos": position,
        "obs/ee_ori": rotation,
        "obs/ee_states": np.concatenate([position, rotation], axis=1),
        "obs/gripper_states": numbers(seed + 5, frames, 2),
        "obs/joint_states": numbers(seed + 6, frames, 7),
    }


def make_libero(
    file: Path, demos: dict[str, dict[str, Any]], instruction: Any = None, num_demos: int | None = None
) -> Path:
    """A file of the original, or, without an instruction, of the variant that OpenVLA's authors modified."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as opened:
        data = opened.create_group("data")
        for name, content in demos.items():
            write(data.create_group(name), content)
        if instruction is not None:
            problem = {"problem_name": "libero_kitchen", "language_instruction": instruction}
            total = sum(len(demo["actions"]) for demo in demos.values())
            data.attrs.update({"problem_info": json.dumps(problem), "total": total})
            data.attrs["num_demos"] = len(demos) if num_demos is None else num_demos
            for name, content in demos.items():
                data[name].attrs["num_samples"] = len(content["actions"])
    return file


def aloha_episode(seed: int, frames: int, cameras: tuple[str, ...] = ("cam_high", "cam_left_wrist")) -> dict[str, Any]:
    """The datasets of an episode of ALOHA with raw pictures."""
    qpos, action = numbers(seed, frames, 14), numbers(seed + 1, frames, 14)
    for columns in (qpos, action):
        columns[:, [6, 13]] = np.linspace(0, 1, frames)[:, None]
    return {
        "action": action,
        "observations/qpos": qpos,
        "observations/qvel": numbers(seed + 2, frames, 14),
        "observations/effort": numbers(seed + 3, frames, 14),
        **{f"observations/images/{name}": pictures(seed + i, frames) for i, name in enumerate(cameras)},
    }


def arx_episode(seed: int, frames: int) -> dict[str, Any]:
    """The datasets of an episode of an ARX collector: the action is the position of the same frame."""
    qpos = numbers(seed, frames, 14)
    qpos[:, [6, 13]] = np.linspace(0, 5, frames)[:, None]
    action = qpos.copy()
    action[:, [6, 13]] *= action[:, [6, 13]] >= 3
    return {
        "action": action,
        "action_eef": numbers(seed + 1, frames, 14),
        "observations/qpos": qpos,
        "observations/qvel": numbers(seed + 2, frames, 14),
        "observations/eef": numbers(seed + 3, frames, 14),
        "observations/robot_base": numbers(seed + 4, frames, 6),
        "observations/images/head": padded([jpeg(picture) for picture in pictures(seed, frames)]),
    }


def make_episode(file: Path, content: dict[str, Any], **attrs: Any) -> Path:
    """One episode a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as opened:
        write(opened, content)
        opened.attrs.update(attrs)
    return file


def make_vlen(file: Path, path: str, rows: list[bytes]) -> None:
    """Put rows of any length in place of what is at `path`."""
    with h5py.File(file, "a") as opened:
        if path in opened:
            del opened[path]
        item = opened.create_dataset(path, (len(rows),), h5py.vlen_dtype(np.uint8))
        for i, row in enumerate(rows):
            item[i] = np.frombuffer(row, np.uint8)
