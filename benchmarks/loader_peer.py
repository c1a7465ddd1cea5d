"""The other side of `loader.py`: LeRobotDataset as its users use it, in an interpreter of its own.

Reads JSON requests `{"samples": [[episode, t], ...], "resize": true}` line by line, loads these samples at random
access, and answers with the seconds that took and what the pictures were like, so that both sides can be compared.
With `"workers": n, "batch": b` a DataLoader loads them, and the seconds are those from every worker's first batch on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import types
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import version

import torch
import torch.nn.functional as F


class _Stub(types.ModuleType):
    """torchvision for who imports it, but calls nothing of it: its wheel does not import beside a CPU torch."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def stand_in() -> bool:
    """Put a stand-in in torchvision's place, unless the real one imports."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError, OSError):
        names = ("torchvision", "torchvision.transforms", "torchvision.transforms.v2")
        modules = {name: _Stub(name) for name in names}
        for name, module in modules.items():
            module.__spec__ = ModuleSpec(name, None)
        sys.modules.update(modules)
        modules["torchvision"].transforms = modules["torchvision.transforms"]
        modules["torchvision.transforms"].v2 = modules["torchvision.transforms.v2"]
        return True
    return False


class Letterbox:
    """Pictures (..., 3, h, w) in 0..1 scaled to fit (size, size), with black bars: what `pictures.picture` does."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        """The pictures, (..., 3, size, size)."""
        height, width = pictures.shape[-2:]
        scale = self.size / max(height, width)
        inner = round(height * scale), round(width * scale)
        flat = pictures.reshape(-1, *pictures.shape[-3:])
        small = F.interpolate(flat, inner, mode="bilinear", antialias=True)
        top, left = (self.size - inner[0]) // 2, (self.size - inner[1]) // 2
        bars = (left, self.size - inner[1] - left, top, self.size - inner[0] - top)
        return F.pad(small, bars).reshape(*pictures.shape[:-2], self.size, self.size)


class Peer:
    """LeRobotDataset twice: with o_t, o_{t+N} and the chunk, and for the one query for o_0."""

    def __init__(self, root: str, cameras: list[str], gap_s: float, horizon: int, size: int) -> None:
        from ledataset.datasets.lerobot_dataset import LeRobotDataset

        first = LeRobotDataset("local/benchmark", root=root)
        steps = [i / first.fps for i in range(horizon)]
        deltas = {camera: [0.0, gap_s] for camera in cameras} | {"action": steps}
        self.cameras = cameras
        self.starts = [int(start) for start in first.meta.episodes["dataset_from_index"]]
        self.first, self.rest = first, LeRobotDataset("local/benchmark", root=root, delta_timestamps=deltas)
        self.letterbox = Letterbox(size)

    def sample(self, episode: int, t: int, resize: bool) -> dict[str, torch.Tensor]:
        """Pictures (o_0, o_t, o_{t+N}) by camera, (3, 3, h, w) in 0..1, and the action chunk (H, A)."""
        self.first.image_transforms = self.rest.image_transforms = self.letterbox if resize else None
        start = self.first[self.starts[episode]]
        item = self.rest[self.starts[episode] + t]
        pictures = {camera: torch.cat([start[camera][None], item[camera]]) for camera in self.cameras}
        return {**pictures, "action": item["action"]}

    def answer(self, request: dict) -> dict:
        """What the request asks for."""
        began = time.perf_counter()
        samples = [self.sample(episode, t, request["resize"]) for episode, t in request["samples"]]
        seconds = time.perf_counter() - began
        return {
            "seconds": seconds,
            "means": [[(255 * s[camera]).mean((1, 2, 3)).tolist() for camera in self.cameras] for s in samples],
            "actions": [s["action"].sum().item() for s in samples],
        }


class Samples(torch.utils.data.Dataset):
    """The samples for a DataLoader; each of its processes opens the dataset for itself."""

    def __init__(self, settings: tuple, samples: list[tuple[int, int]]) -> None:
        self.settings, self.samples = settings, samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        return opened(self.settings).sample(*self.samples[number], True)


@cache
def opened(settings: tuple) -> Peer:
    root, cameras, *others = settings
    stand_in()
    return Peer(root, list(cameras), *others)


def seconds_with_workers(settings: tuple, request: dict) -> float:
    """Seconds for all but the first batch of each worker."""
    options = {"num_workers": request["workers"], "multiprocessing_context": "spawn"}
    batches = iter(torch.utils.data.DataLoader(Samples(settings, request["samples"]), request["batch"], **options))
    for _ in range(request["workers"]):
        next(batches)
    began = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root")
    parser.add_argument("--cameras", nargs="+", required=True)
    parser.add_argument("--gap", type=float, required=True)
    parser.add_argument("--horizon", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    a = parser.parse_args()
    replaced = stand_in()
    settings = (a.root, tuple(a.cameras), a.gap, a.horizon, a.size)
    peer = opened(settings)
    hello = {
        "versions": {name: version(name) for name in ("lerobot-dataset", "torch", "torchcodec")},
        "backend": peer.rest.video_backend,
        "torchvision": "stand-in" if replaced else "real",
        "torch_threads": torch.get_num_threads(),
        "episodes": len(peer.starts),
        "frames": len(peer.rest),
    }
    print(json.dumps(hello), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        workers = "workers" in request
        answer = {"seconds": seconds_with_workers(settings, request)} if workers else peer.answer(request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
