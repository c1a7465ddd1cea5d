"""Random access for training: samples a second of (o_0, o_t, o_{t+N}, action chunk) against LeRobotDataset.

Both sides read the same episodes, the same frames of them in the same order, two cameras at 224 pixels; rounds take
turns, and what counts is the ratio of the medians. In one process LeRobot decodes with one thread and scales with as
many as torch has, pvla does both with one, or with 2 where it says so; then both prefetch with processes. pvla keeps
the first pictures of episodes that it has decoded (o_0 of every sample is one of them); `o_0 anew` is without that.

The episodes are the real pictures of the shared LeRobot sample (640 x 480, one camera; the second camera is a part of
the same pictures) as a LeRobot v3.0 dataset with AV1 video, as LeRobot's own writer makes it. pvla reads what its
`pvla data convert` makes of that dataset.

LeRobot lives in an environment of its own:

    python -m venv lerobot && lerobot/bin/pip install torch==2.13.0 lerobot-dataset==0.4.4 torchcodec==0.11.1
    python benchmarks/loader.py --peer-python lerobot/bin/python --out loader.json

`lerobot-dataset` is LeRobot's class LeRobotDataset alone. Where torchvision does not import (its wheel wants CUDA), a
stand-in takes its place: nothing of it is called. Video is decoded by torchcodec, LeRobot's default, with the FFmpeg
libraries that PyAV's wheel in the same environment brings, unless the system has some.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from convert_inputs import ROOT, VIDEO
from PIL import Image

from pvla.datasets.convert.conversion import convert
from pvla.datasets.export.lerobot import export_lerobot
from pvla.datasets.sampling.augment import Augmentation
from pvla.datasets.sampling.batch import Batch
from pvla.datasets.sampling.batches import Batches
from pvla.datasets.sampling.draws import Draws, Sampling
from pvla.datasets.schema import ActionSpace, Camera, DatasetInfo
from pvla.datasets.store import Store
from pvla.datasets.writer import StoreWriter

FPS, WIDTH = 30, 26
CAMERAS = ("head", "wrist")
Rgb = np.ndarray


def lerobot_dataset(folder: Path, episodes: int) -> Path:
    """The recorded store as a LeRobot dataset, without pvla's own notes on it: a dataset that is not from pvla."""
    export_lerobot(recorded(folder / "recorded", episodes), folder / "lerobot")
    shutil.rmtree(folder / "lerobot/meta/pvla")
    return folder / "lerobot"


def recorded(folder: Path, episodes: int) -> Path:
    """A store of the shared video, cut into so many episodes."""
    names = [f"j{i}" for i in range(WIDTH)]
    space = ActionSpace(kind="unknown", names=names, units=["?"] * WIDTH, frame="?", gripper="none", rate_hz=FPS)
    info = DatasetInfo(
        name="benchmark",
        fps=FPS,
        cameras=[Camera(name=name, height=480, width=640) for name in CAMERAS],
        action_space=space,
        state_names=names,
    )
    rng = np.random.default_rng(0)
    frames = list(pictures())
    with StoreWriter(folder, info) as writer:
        for number, part in enumerate(np.array_split(np.arange(len(frames)), episodes)):
            with writer.episode(f"episode_{number:06d}", "pick up the thing") as episode:
                for i, frame in enumerate(part):
                    row = rng.normal(size=WIDTH)
                    images = {"head": frames[frame], "wrist": closer(frames[frame])}
                    episode.add(images, row, row, i / FPS)
                episode.finish(True)
    return folder


def pictures() -> Iterator[Rgb]:
    with av.open(str(VIDEO)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def closer(rgb: Rgb) -> Rgb:
    """The second camera: a part of the picture, enlarged."""
    part = Image.fromarray(rgb).resize((640, 480), Image.Resampling.BICUBIC, box=(80, 120, 400, 360))
    return np.asarray(part)


class Peer:
    """`loader_peer.py` in the other interpreter."""

    def __init__(self, python: Path, root: Path, sampling: Sampling, libraries: Path) -> None:
        cameras = [f"observation.images.{name}" for name in sampling.cameras]
        settings = {"--gap": sampling.gap_s, "--horizon": sampling.horizon, "--size": sampling.size}
        told = [str(word) for pair in settings.items() for word in pair]
        command = [str(python), str(ROOT / "benchmarks/loader_peer.py"), str(root), "--cameras", *cameras, *told]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen(command, env=with_ffmpeg(python, libraries), **pipes)
        self.about = self._read()

    def load(self, samples: list[tuple[int, int]], **options: Any) -> dict[str, Any]:
        """Its answer on these samples, (episode, t) each."""
        self._process.stdin.write(json.dumps({"samples": samples, **options}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        self._process.wait(60)

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("The other interpreter ended; see above what it said.")
        return json.loads(line)


def with_ffmpeg(python: Path, folder: Path) -> dict[str, str]:
    """The environment in which torchcodec finds the FFmpeg of PyAV's wheel, under the names that it looks for."""
    where = subprocess.check_output([python, "-c", "import av; print(av.__path__[0])"], text=True)
    libraries = Path(where.strip()).parent / "av.libs"
    folder.mkdir()
    for file in libraries.glob("lib*.so.*"):
        if found := re.fullmatch(r"(lib(?:av|sw)\w+)-[0-9a-f]{8}\.so\.(\d+)\..*", file.name):
            (folder / f"{found[1]}.so.{found[2]}").symlink_to(file)
    paths = [*filter(None, [os.environ.get("LD_LIBRARY_PATH")]), str(folder), str(libraries)]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(paths)}


def ours(draws: Draws, step: int) -> tuple[float, Batch]:
    began = time.perf_counter()
    batch = draws(step)
    return time.perf_counter() - began, batch


def differences(batch: Batch, answer: dict[str, Any]) -> dict[str, float]:
    """How far the two sides are apart on the same samples: a picture's mean in 8-bit steps, an action chunk's sum."""
    moments = [batch[name].mean(axis=(2, 3, 4)) for name in ("start", "now", "later")]
    means = np.stack(moments, axis=-1)  # (B, cameras, moments)
    sums = batch["action"].sum(axis=(1, 2))
    return {
        "largest_picture_mean": float(np.abs(means - np.array(answer["means"])).max()),
        "largest_action_sum": float(np.abs(sums - np.array(answer["actions"])).max()),
    }


def in_full(draws: Draws, step: int) -> list[tuple[int, int]]:
    """The samples of a step as (episode, t)."""
    return [(sample.episode, sample.t) for sample in draws.samples(step)]


def with_workers(draws: Draws, workers: int, batches: int) -> float:
    """Samples a second with prefetching workers, from the second batch of each on."""
    with_all = iter(Batches(draws, workers=workers))
    for _ in range(workers):
        next(with_all)
    began = time.perf_counter()
    for _ in range(batches):
        next(with_all)
    seconds = time.perf_counter() - began
    with_all.close()
    return batches * draws.sampling.batch / seconds


def compare_workers(draws: Draws, peer: Peer, counts: list[int], batches: int) -> dict[int, dict[str, float]]:
    """Samples a second of both sides with so many prefetching processes."""
    compared = {}
    for count in counts:
        samples = [sample for step in range(count + batches) for sample in in_full(draws, step)]
        answer = peer.load(samples, workers=count, batch=draws.sampling.batch)
        theirs = batches * draws.sampling.batch / answer["seconds"]
        compared[count] = {"pvla": with_workers(draws, count, batches), "LeRobot": theirs}
    return compared


def compare(draws: Draws, variants: dict[str, Draws], peer: Peer, rounds: int) -> dict[str, Any]:
    """Rounds that take turns; the first is a warm-up and only checked for being of the same samples."""
    sampling = draws.sampling
    sides: dict[str, list[float]] = {name: [] for name in ("pvla", *variants, "LeRobot", "LeRobot, not scaled")}
    for step in range(rounds + 1):
        samples = in_full(draws, step)
        seconds, batch = ours(draws, step)
        answer = peer.load(samples, resize=True)
        whole = peer.load(samples, resize=False)
        if not step:
            apart = differences(batch, answer)
            continue
        sides["pvla"].append(sampling.batch / seconds)
        for name, variant in variants.items():
            sides[name].append(sampling.batch / ours(variant, step)[0])
        sides["LeRobot"].append(sampling.batch / answer["seconds"])
        sides["LeRobot, not scaled"].append(sampling.batch / whole["seconds"])
    return {"samples_per_s": sides, "medians": {k: statistics.median(v) for k, v in sides.items()}, "apart": apart}


def print_table(result: dict[str, Any]) -> None:
    base = result["medians"]["LeRobot"]
    for name, rate in result["medians"].items():
        print(f"  {name:22} {rate:8.1f} samples/s {rate / base:7.2f} x LeRobot")
    for count, rates in result["workers"].items():
        ours, theirs = rates["pvla"], rates["LeRobot"]
        print(f"  {count} workers: pvla {ours:.1f} samples/s, LeRobot {theirs:.1f}: {ours / theirs:.2f} x")
    print(f"  the same samples differ by {json.dumps(result['apart'])}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", type=Path, required=True, help="the interpreter that has LeRobot")
    parser.add_argument("--episodes", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    a = parser.parse_args()
    sampling = Sampling(cameras=CAMERAS, batch=a.batch, gap_s=1.0, horizon=10, size=224)
    with tempfile.TemporaryDirectory(prefix="pvla-loader-") as temporary:
        folder = Path(temporary)
        dataset = lerobot_dataset(folder, a.episodes)
        convert(dataset, folder / "store")
        store = Store.open(folder / "store")
        draws = Draws([store], sampling, split=None)
        augmented = replace(sampling, augmentation=Augmentation())
        variants = {
            "pvla, 2 threads": Draws([store], sampling, split=None, threads=2),
            "pvla, o_0 anew": Draws([store], sampling, split=None, kept_bytes=0),
            "pvla, augmented": Draws([store], augmented, split=None),
        }
        peer = Peer(a.peer_python, dataset, sampling, folder / "ffmpeg")
        result = compare(draws, variants, peer, a.rounds)
        result["workers"] = compare_workers(draws, peer, a.workers, a.rounds)
        peer.close()
    result |= {
        "peer": peer.about,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "batch": a.batch,
        "chroma": store.info.images.subsampling,
    }
    print(f"{result['peer']}")
    print_table(result)
    if a.out:
        a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
