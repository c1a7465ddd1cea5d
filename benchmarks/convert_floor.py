"""How fast LeRobot's video could be converted at most, and what each way would notice.

    python benchmarks/convert_floor.py --episodes 24 --flips 25

Two ways to read the one whole episode of the LeRobot sample (`PVLA_SHARED_DATA`), repeated: to copy its rows and its
video as they are and to count the packets, as LeRobot's own program from v2.1 to v3.0 does; and to decode every
picture, with nothing done to it, which is the least that a store of pictures needs. Then single bits of the video are
flipped, and each way says how many of those videos it takes for damaged.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import av
import h5py
import numpy as np
import pyarrow.parquet as pq
from convert_inputs import ROWS, VIDEO

HEAD_AND_TAIL = 20_000  # bytes that are left alone: the container's own tables


def counted(video: bytes) -> int:
    """Packets of a video."""
    with av.open(io.BytesIO(video), format="mp4") as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def decoded(video: bytes) -> int:
    """Pictures of a video that are whole."""
    with av.open(io.BytesIO(video), format="mp4") as container:
        return sum(not frame.is_corrupt for frame in container.decode(video=0))


def copy(number: int) -> int:
    """Rows, packets and bytes of one episode into an HDF5 file; its frames."""
    table, video = pq.read_table(ROWS), VIDEO.read_bytes()
    with tempfile.TemporaryDirectory() as folder, h5py.File(Path(folder) / f"{number}.h5", "w") as file:
        for name in ("action", "observation.state"):
            file[name] = np.stack(table[name].to_numpy())
        file["video"] = np.frombuffer(video, np.uint8)
        return counted(video)


def decode(_: int) -> int:
    """The pictures of one episode, by one thread; their number."""
    with av.open(str(VIDEO)) as container:
        container.streams.video[0].thread_count = 1
        return sum(1 for _ in container.decode(video=0))


def rate(way: Callable[[int], int], episodes: int, workers: int) -> float:
    """Frames a second, once the processes have started."""
    with get_context("spawn").Pool(workers) as pool:
        pool.map(way, range(workers))
        start = time.perf_counter()
        frames = sum(pool.map(way, range(episodes), chunksize=1))
        return frames / (time.perf_counter() - start)


def noticed(way: Callable[[bytes], int], flips: int) -> int:
    """Of videos with one bit flipped, how many do not give all their frames."""
    whole, rng, told = VIDEO.read_bytes(), np.random.default_rng(0), 0
    frames = way(whole)
    for _ in range(flips):
        video = bytearray(whole)
        video[int(rng.integers(HEAD_AND_TAIL, len(video) - HEAD_AND_TAIL))] ^= 1 << int(rng.integers(8))
        try:
            told += way(bytes(video)) != frames
        except av.FFmpegError:
            told += 1
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--flips", type=int, default=25)
    a = parser.parse_args()
    for name, way, look in (("copy", copy, counted), ("decode", decode, decoded)):
        told = noticed(look, a.flips)
        sys.stdout.write(
            f"{name}: {rate(way, a.episodes, a.workers):.0f} frames a second with {a.workers} workers; "
            f"{told} of {a.flips} videos with one bit flipped are taken for damaged\n"
        )


if __name__ == "__main__":
    main()
