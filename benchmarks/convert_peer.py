"""A side of `convert.py`: ALOHA's HDF5 into a LeRobot dataset by LeRobot's own writer, in an interpreter of its own.

LeRobot has no program for that: its guide to porting has everybody write this loop of `add_frame` and `save_episode`.
Pictures are written by 4 threads a camera, as LeRobot records them, then encoded as AV1.
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
from loader_peer import stand_in

IMAGES = "observations/images"
THREADS = 4


def main(source: Path, out: Path) -> None:
    stand_in()
    from ledataset.datasets.lerobot_dataset import LeRobotDataset

    files = sorted(source.glob("*.hdf5"))
    with h5py.File(files[0]) as first:
        cameras = list(first[IMAGES])
        shown = {camera: first[f"{IMAGES}/{camera}"].shape[1:] for camera in cameras}
        width = first["action"].shape[1]
    vector = {"dtype": "float32", "shape": (width,), "names": [f"joint_{i}" for i in range(width)]}
    features = {"action": vector, "observation.state": vector}
    for camera, shape in shown.items():
        names = ["height", "width", "channels"]
        features[f"observation.images.{camera}"] = {"dtype": "video", "shape": shape, "names": names}
    dataset = LeRobotDataset.create(
        "local/benchmark", fps=50, features=features, root=out, image_writer_threads=THREADS * len(cameras)
    )
    for file in files:
        add_episode(dataset, file, cameras)
    dataset.finalize()


def add_episode(dataset: object, path: Path, cameras: list[str]) -> None:
    with h5py.File(path) as file:
        action, state = (file[name][()].astype("float32") for name in ("action", "observations/qpos"))
        for t in range(len(action)):
            images = {f"observation.images.{camera}": file[f"{IMAGES}/{camera}"][t] for camera in cameras}
            dataset.add_frame({"action": action[t], "observation.state": state[t], **images, "task": "do the task"})
    dataset.save_episode()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
