from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pvla.datasets.sampling.pictures import picture
from pvla.datasets.sampling.views import views
from pvla.datasets.schema import ActionSpace, Camera, DatasetInfo
from pvla.datasets.store import Store
from pvla.datasets.writer import StoreWriter
from pvla.errors import InputError

WANTED = {"head": 32, "wrist": 16}


def make(path: Path, cameras: dict[str, tuple[int, int]]) -> Store:
    """An episode of three frames of noise; cameras by name with their heights and widths."""
    space = ActionSpace(kind="unknown", names=["a"], units=["?"], frame="?", gripper="none", rate_hz=10)
    listed = [Camera(name=name, height=height, width=width) for name, (height, width) in cameras.items()]
    rng = np.random.default_rng(0)
    info = DatasetInfo(name="views", fps=10, cameras=listed, action_space=space)
    with StoreWriter(path, info) as writer, writer.episode("e0", "go") as episode:
        for t in range(3):
            images = {name: rng.integers(0, 256, (*size, 3), np.uint8) for name, size in cameras.items()}
            episode.add(images, [t], [], t / 10)
        episode.finish(success=True)
    return Store.open(path)


def test_cameras_of_the_same_name_and_size_are_shown_as_they_are(tmp_path: Path) -> None:
    store = make(tmp_path, {"other": (32, 32), "wrist": (16, 16), "head": (32, 32)})
    shown = views(store.info, WANTED)
    assert [(view.name, view.note) for view in shown] == [("head", ""), ("wrist", "")]
    for view in shown:
        assert (view.pictures(store[0]) == store[0].images(view.name)).all()


def test_others_are_found_by_role_and_scaled(tmp_path: Path) -> None:
    store = make(tmp_path, {"cam_left_wrist": (16, 16), "cam_high": (48, 64)})
    head, wrist = views(store.info, WANTED)
    assert (
        head.note == "The encoder's camera head is shown the middle 48 x 48 of cam_high, scaled from 48 to 32 pixels."
    )
    assert wrist.note == "The encoder's camera wrist is shown cam_left_wrist."
    shown = head.pictures(store[0])
    assert shown.shape == (3, 32, 32, 3)
    assert all((shown[t] == picture(store[0].jpeg("cam_high", t), 32, "crop")).all() for t in range(3))
    assert (wrist.pictures(store[0]) == store[0].images("cam_left_wrist")).all()


def test_a_camera_that_is_not_there_is_black_and_said(tmp_path: Path) -> None:
    store = make(tmp_path, {"image_0": (32, 32)})
    head, wrist = views(store.info, WANTED)
    assert head.note == "The encoder's camera head is shown image_0."
    assert "wrist is shown black pictures" in wrist.note
    assert wrist.pictures(store[0]).shape == (3, 16, 16, 3)
    assert not wrist.pictures(store[0]).any()


def test_no_camera_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Dataset views has no camera scene or wrist: it has no cameras"):
        views(make(tmp_path, {}).info, WANTED)


def test_a_frame_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    store = make(tmp_path, {"front": (48, 64)})
    with h5py.File(next((tmp_path / "shards").glob("*.h5")), "r+") as file:
        frames = file["e0/images/front"]
        frames[1] = np.asarray(frames[1])[:400]
    head = views(store.info, WANTED)[0]
    with pytest.raises(InputError, match="Episode e0: frame 1 of camera front cannot be decoded"):
        head.pictures(Store.open(tmp_path)[0])
