"""Inputs for `convert.py`: the real samples of the shared data, as often as asked for, written as their kind has it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import av
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("PVLA_SHARED_DATA", ROOT / "../shared/data"))
SAMPLE = SHARED / "lerobot_v21"
CAMERA = "observation.images.cam_high"
ROWS = SAMPLE / "data/chunk-000/episode_000001.parquet"
VIDEO = SAMPLE / f"videos/chunk-000/{CAMERA}/episode_000001.mp4"
ALOHA_FRAMES = 100


def lerobot(folder: Path, episodes: int) -> None:
    """The one whole LeRobot v2.1 episode (393 frames of 640 x 480 AV1 video), renumbered."""
    table = pq.read_table(ROWS)
    stats = json.loads((SAMPLE / "meta/episodes_stats.jsonl").read_text().splitlines()[1])["stats"]
    entry = json.loads((SAMPLE / "meta/episodes.jsonl").read_text().splitlines()[1])
    for part in ("data/chunk-000", f"videos/chunk-000/{CAMERA}", "meta"):
        (folder / part).mkdir(parents=True)
    for number in range(episodes):
        name = f"chunk-000/episode_{number:06d}.parquet"
        pq.write_table(_renumbered(table, number), folder / "data" / name)
        shutil.copyfile(VIDEO, folder / f"videos/chunk-000/{CAMERA}/episode_{number:06d}.mp4")
    entries = [{**entry, "episode_index": number} for number in range(episodes)]
    all_stats = [{"episode_index": number, "stats": stats} for number in range(episodes)]
    for name, lines in (("episodes", entries), ("episodes_stats", all_stats)):
        (folder / f"meta/{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    shutil.copyfile(SAMPLE / "meta/tasks.jsonl", folder / "meta/tasks.jsonl")
    info = json.loads((SAMPLE / "meta/info.json").read_text())
    totals = {"total_episodes": episodes, "total_frames": episodes * len(table), "total_videos": episodes}
    info |= {**totals, "splits": {"train": f"0:{episodes}"}}
    (folder / "meta/info.json").write_text(json.dumps(info))


def _renumbered(table: pa.Table, number: int) -> pa.Table:
    rows = len(table)
    columns = {"episode_index": np.full(rows, number), "index": np.arange(rows) + number * rows}
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values, pa.int64()))
    return table


def robomimic(file: Path, episodes: int) -> None:
    """The robomimic file's demonstrations (no pictures), over and over."""
    with h5py.File(SHARED / "robomimic_hdf5/annotated_dataset.hdf5") as source, h5py.File(file, "w") as target:
        demos = list(source["data"])
        data = target.create_group("data")
        data.attrs.update(source["data"].attrs)
        for number in range(episodes):
            source.copy(f"data/{demos[number % len(demos)]}", data, f"demo_{number}")


def rlds(folder: Path, episodes: int) -> None:
    """The Bridge shard (25 episodes, four 64 x 64 JPEG cameras), once for every 25 episodes."""
    source = SHARED / "rlds_bridge/1.0.0"
    version = folder / "1.0.0"
    version.mkdir(parents=True)
    shards = max(1, episodes // 25)
    for number in range(shards):
        name = f"bridge_dataset-train.tfrecord-{number:05d}-of-{shards:05d}"
        shutil.copyfile(source / "bridge_dataset-train.tfrecord-00000-of-00001", version / name)
    info = json.loads((source / "dataset_info.json").read_text())
    train = next(split for split in info["splits"] if split["name"] == "train")
    info["splits"] = [{**train, "shardLengths": ["25"] * shards, "numBytes": str(3474742 * shards)}]
    (version / "dataset_info.json").write_text(json.dumps(info))
    shutil.copyfile(source / "features.json", version / "features.json")


def aloha(folder: Path, episodes: int) -> None:
    """ALOHA's HDF5 with raw pictures: the LeRobot episode's video, its first 14 columns, 100 frames each."""
    folder.mkdir(parents=True)
    table = pq.read_table(ROWS)
    columns = {
        name: np.stack(table[name].to_numpy())[:, :14].astype(np.float64) for name in ("observation.state", "action")
    }
    pictures = _pictures(ALOHA_FRAMES)
    for number in range(episodes):
        with h5py.File(folder / f"episode_{number}.hdf5", "w") as file:
            file.attrs["sim"] = False
            file["observations/qpos"] = columns["observation.state"][:ALOHA_FRAMES]
            file["observations/qvel"] = np.zeros((ALOHA_FRAMES, 14))
            file["action"] = columns["action"][:ALOHA_FRAMES] + 1e-6 * number
            file.create_dataset("observations/images/cam_high", data=pictures, chunks=(1, 480, 640, 3))


def _pictures(count: int) -> np.ndarray:
    with av.open(str(VIDEO)) as container:
        frames = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
        return np.stack([next(frames) for _ in range(count)])


MAKERS = {"lerobot": lerobot, "robomimic": robomimic, "rlds": rlds, "aloha": aloha}
