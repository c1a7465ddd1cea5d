from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from noise_store import noise_store

from pvla.datasets.sampling.pictures import picture
from pvla.datasets.sampling.views import views
from pvla.datasets.store import Store
from pvla.errors import InputError

WANTED = {"head": 32, "wrist": 16}


def test_cameras_of_the_same_name_and_size_are_shown_as_they_are(tmp_path: Path) -> None:
    store = noise_store(tmp_path, {"other": (32, 32), "wrist": (16, 16), "head": (32, 32)})
    shown = views(store.info, WANTED)
    assert [(view.name, view.note) for view in shown] == [("head", ""), ("wrist", "")]
    for view in shown:
        assert (view.pictures(store[0]) == store[0].images(view.name)).all()


def test_others_are_found_by_role_and_scaled(tmp_path: Path) -> None:
    store = noise_store(tmp_path, {"cam_left_wrist": (16, 16), "cam_high": (48, 64)})
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
    store = noise_store(tmp_path, {"image_0": (32, 32)})
    head, wrist = views(store.info, WANTED)
    assert head.note == "The encoder's camera head is shown image_0."
    assert "wrist is shown black pictures" in wrist.note
    assert wrist.pictures(store[0]).shape == (3, 16, 16, 3)
    assert not wrist.pictures(store[0]).any()


def test_no_camera_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Dataset noise has no camera scene or wrist: it has no cameras"):
        views(noise_store(tmp_path, {}).info, WANTED)


def test_a_frame_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    store = noise_store(tmp_path, {"front": (48, 64)})
    with h5py.File(next((tmp_path / "shards").glob("*.h5")), "r+") as file:
        frames = file["e0/images/front"]
        frames[1] = np.asarray(frames[1])[:400]
    head = views(store.info, WANTED)[0]
    with pytest.raises(InputError, match="Episode e0: frame 1 of camera front cannot be decoded"):
        head.pictures(Store.open(tmp_path)[0])
