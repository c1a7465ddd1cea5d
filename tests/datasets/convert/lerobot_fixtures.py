"""LeRobot datasets, v2.1 and v3.0, written by hand in the layout of real ones: nothing of pvla is used for it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

FPS = 10
HEIGHT, WIDTH = 48, 64
TASKS = ["stack the bowls", "open the drawer"]
JOINTS = ["shoulder_pan.pos", "elbow_flex.pos", "gripper.pos"]
KEY = "observation.images.head"


def picture(episode: int, t: int) -> np.ndarray:
    """u8 (h, w, 3): a gradient with a block that moves from frame to frame, of a colour by episode."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([2 * x, 3 * y, x + y], axis=-1).astype(np.uint8)
    left = 3 * t % (WIDTH - 12)
    image[8 + 4 * (episode % 5) :, left : left + 12][:12] = (40 * (episode % 6), 200, 255 - 50 * (episode % 5))
    return image


def numbers(episode: int, length: int, width: int = 3) -> np.ndarray:
    """f32 (length, width), other in each episode."""
    return np.random.default_rng(episode).normal(size=(length, width)).astype(np.float32)


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def write_video(file: Path, pictures: Iterable[np.ndarray], fps: int = FPS, codec: str = "libx264") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=fps, options={"g": "4", "crf": "20"})
        stream.pix_fmt, stream.height, stream.width = "yuv420p", HEIGHT, WIDTH
        for number, image in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def decoded(file: Path) -> list[np.ndarray]:
    """All pictures of a video, by PyAV alone."""
    with av.open(str(file)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def columns(episode: int, length: int, task: int, start: int) -> dict[str, Any]:
    """The columns of one episode as LeRobot's own writer makes them."""
    flat = {name: pa.array(numbers(seed, length).reshape(-1)) for name, seed in _seeds(episode).items()}
    vectors = {name: pa.FixedSizeListArray.from_arrays(values, 3) for name, values in flat.items()}
    frames = np.arange(length)
    return {
        **vectors,
        "timestamp": pa.array((frames / FPS).astype(np.float32)),
        "frame_index": pa.array(frames),
        "episode_index": pa.array(np.full(length, episode)),
        "index": pa.array(start + frames),
        "task_index": pa.array(np.full(length, task)),
    }


def _seeds(episode: int) -> dict[str, int]:
    return {"action": 100 + episode, "observation.state": 200 + episode}


def features(camera: str = "video") -> dict[str, Any]:
    vector = {"dtype": "float32", "shape": [3], "names": {"motors": JOINTS}}
    scalar = {"shape": [1], "names": None}
    shown = {"dtype": camera, "shape": [HEIGHT, WIDTH, 3], "names": ["height", "width", "channels"]}
    numbered = {key: {"dtype": "int64", **scalar} for key in ("frame_index", "episode_index", "index", "task_index")}
    first = {"action": vector, "observation.state": {**vector, "names": [JOINTS]}, KEY: shown}
    return {**first, "timestamp": {"dtype": "float32", **scalar}, **numbered}


def write_info(root: Path, version: str, lengths: Sequence[int], **more: Any) -> None:
    info = {
        "codebase_version": version,
        "robot_type": "so101_follower",
        "total_episodes": len(lengths),
        "total_frames": sum(lengths),
        "total_tasks": len(TASKS),
        "chunks_size": 1000,
        "fps": FPS,
        "features": features(),
    }
    (root / "meta").mkdir(parents=True, exist_ok=True)
    (root / "meta/info.json").write_text(json.dumps({**info, **more}))


def json_lines(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_v21(root: Path, lengths: Sequence[int] = (5, 4), *, camera: str = "video", **info: Any) -> Path:
    """One Parquet file an episode; the pictures in one mp4 an episode, or as PNG in the Parquet file."""
    write_info(root, "v2.1", lengths, **{"features": features(camera), **info})
    json_lines(root / "meta/tasks.jsonl", ({"task_index": n, "task": task} for n, task in enumerate(TASKS)))
    listed = ({"episode_index": n, "tasks": [TASKS[n % 2]], "length": length} for n, length in enumerate(lengths))
    json_lines(root / "meta/episodes.jsonl", listed)
    (root / "data/chunk-000").mkdir(parents=True)
    for n, length in enumerate(lengths):
        table = columns(n, length, n % 2, sum(lengths[:n]))
        pictures = [picture(n, t) for t in range(length)]
        if camera == "video":
            write_video(root / f"videos/chunk-000/{KEY}/episode_{n:06d}.mp4", pictures)
        else:
            table[KEY] = pa.array([{"bytes": png(image), "path": f"frame_{t}.png"} for t, image in enumerate(pictures)])
        pq.write_table(pa.table(table), root / f"data/chunk-000/episode_{n:06d}.parquet")
    return root


def make_v3(root: Path, lengths: Sequence[int] = (5, 4, 6), *, per_file: int = 3, named: bool = False) -> Path:
    """Several episodes in each Parquet file (in one row group) and in each mp4 file.

    `named`: the tasks are the column `task`, as a named pandas index is written; else `__index_level_0__`.
    """
    write_info(root, "v3.0", lengths)
    rows = []
    for first in range(0, len(lengths), per_file):
        some = range(first, min(first + per_file, len(lengths)))
        file = first // per_file
        tables = [pa.table(columns(n, lengths[n], n % 2, sum(lengths[:n]))) for n in some]
        (root / "data/chunk-000").mkdir(parents=True, exist_ok=True)
        table = pa.concat_tables(tables).combine_chunks()
        pq.write_table(table, root / f"data/chunk-000/file-{file:03d}.parquet")
        pictures = (picture(n, t) for n in some for t in range(lengths[n]))
        write_video(root / f"videos/{KEY}/chunk-000/file-{file:03d}.mp4", pictures)
        rows += [_episode_row(n, lengths, file, sum(lengths[first:n])) for n in some]
    (root / "meta/episodes/chunk-000").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), root / "meta/episodes/chunk-000/file-000.parquet")
    write_tasks(root, "task" if named else "__index_level_0__")
    return root


def _episode_row(n: int, lengths: Sequence[int], file: int, before: int) -> dict[str, Any]:
    start = sum(lengths[:n])
    return {
        "episode_index": n,
        "tasks": [TASKS[n % 2]],
        "length": lengths[n],
        "data/chunk_index": 0,
        "data/file_index": file,
        "dataset_from_index": start,
        "dataset_to_index": start + lengths[n],
        f"videos/{KEY}/chunk_index": 0,
        f"videos/{KEY}/file_index": file,
        f"videos/{KEY}/from_timestamp": before / FPS,
        f"videos/{KEY}/to_timestamp": (before + lengths[n]) / FPS,
        "stats/action/mean": [0.0, 0.0, 0.0],
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }


def write_tasks(root: Path, name: str) -> None:
    table = pa.table({"task_index": list(range(len(TASKS))), name: TASKS})
    pq.write_table(table, root / "meta/tasks.parquet")


def change_info(root: Path, **values: Any) -> None:
    file = root / "meta/info.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def change_rows(file: Path, **values: Any) -> None:
    """Replace columns of a Parquet file; None takes one away."""
    table = pq.read_table(file)
    for name, column in values.items():
        table = table.drop_columns([name]) if name in table.column_names else table
        table = table if column is None else table.append_column(name, pa.array(column))
    pq.write_table(table, file)
