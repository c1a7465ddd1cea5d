from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pvla.datasets.schema import ActionSpace, Camera, DatasetInfo
from pvla.datasets.writer import StoreWriter
from pvla.errors import InputError
from pvla.media.video import Frame
from pvla.score.footage import Follower, check_times, fit, from_recording, from_videos, thin

CAMERAS = (Camera(name="head", height=16, width=16), Camera(name="wrist", height=8, width=8))
Video = Callable[..., Path]


def frames(times: list[float]) -> Iterator[Frame]:
    return (Frame(time, np.full((2, 2, 3), index % 256, np.uint8)) for index, time in enumerate(times))


def record(folder: Path, levels: list[float], count: int = 1) -> None:
    joints = ActionSpace(kind="joint_position", names=["j"], units=["rad"], frame="joints", rate_hz=10)
    info = DatasetInfo(name="run", fps=10, cameras=list(CAMERAS), action_space=joints, state_names=["j"])
    writer = StoreWriter(folder, info)
    for number in range(count):
        with writer.episode(f"e{number}", "stack the bowls", "stack_bowls") as episode:
            for t, level in enumerate(levels):
                images = {c.name: np.full((c.height, c.width, 3), round(255 * level), np.uint8) for c in CAMERAS}
                episode.add(images, np.zeros(1, np.float32), np.zeros(1, np.float32), 5 + t / 10)
            episode.finish(success=True)
    writer.close()


@pytest.mark.parametrize(("fps", "rate", "share"), [(30, 10, 1 / 3), (25, 10, 10 / 25), (12, 10, 10 / 12), (5, 10, 1)])
def test_thinning_keeps_the_mean_rate_and_the_own_times(fps: int, rate: float, share: float) -> None:
    times = [n / fps for n in range(10 * fps)]
    kept = [frame.time_s for frame in thin(frames(times), rate)]
    assert set(kept) <= set(times)
    assert (kept[0], kept[-1]) == (0, times[-1])
    assert len(kept) == pytest.approx(share * len(times), rel=0.12)
    assert all(later - earlier >= 0.5 / rate for earlier, later in pairwise(kept[:-1]))


def test_a_gap_in_the_video_is_not_made_up_for() -> None:
    kept = [frame.time_s for frame in thin(frames([0, 0.1, 5, 5.02, 5.04, 5.1, 5.2]), 10)]
    assert kept == [0, 0.1, 5, 5.1, 5.2]


def test_the_last_frame_is_kept() -> None:
    assert [frame.time_s for frame in thin(frames([0, 0.1, 0.15]), 10)] == [0, 0.1, 0.15]


def test_follower_gives_the_latest_frame() -> None:
    follower = Follower(frames([0.0, 0.1, 0.2]))
    assert [int(follower.at(time)[0, 0, 0]) for time in (0.0, 0.05, 0.1, 0.35, 9.0)] == [0, 0, 1, 2, 2]


def test_fit_crops_around_the_centre_and_scales() -> None:
    wide = np.zeros((32, 64, 3), np.uint8)
    wide[:, 16:48] = 200
    fitted = fit(wide, CAMERAS[0])
    assert fitted.shape == (16, 16, 3)
    assert (fitted == 200).all()
    same = np.zeros((16, 16, 3), np.uint8)
    assert fit(same, CAMERAS[0]) is same


def test_one_video_leaves_the_wrist_missing(video: Video) -> None:
    footage = from_videos({"head": video("v.mp4", [0, 0.5, 1.0], fps=10)}, CAMERAS, 10)
    shots = list(footage.shots())
    assert (footage.given, footage.missing) == (("head",), ("wrist",))
    assert [shot.time_s for shot in shots] == pytest.approx([0, 0.1, 0.2])
    assert shots[2].images["head"].mean() == pytest.approx(255, abs=6)
    assert [shot.time_s for shot in footage.shots()] == pytest.approx([0, 0.1, 0.2])


def test_a_pair_is_aligned_by_time(video: Video) -> None:
    files = {"head": video("h.mp4", [0.0] * 10, fps=10), "wrist": video("w.mp4", [0.0] * 10 + [1.0] * 10, fps=20)}
    shots = list(from_videos(files, CAMERAS, 10).shots())
    assert [shot.images["wrist"].mean() > 128 for shot in shots] == [False] * 5 + [True] * 5


def test_another_shape_is_said(video: Video) -> None:
    footage = from_videos({"head": video("v.mp4", [0, 1], size=(64, 32))}, CAMERAS, 10)
    assert "64x32" in footage.notes[0]


def test_a_camera_that_the_estimator_has_not_is_refused(video: Video) -> None:
    with pytest.raises(InputError, match="wrist"):
        from_videos({"wrist": video("v.mp4", [0, 1])}, CAMERAS[:1], 10)


def test_a_recording_has_both_cameras_and_its_instruction(tmp_path: Path) -> None:
    record(tmp_path / "run" / "recording", [0.0, 0.5, 1.0])
    footage = from_recording(tmp_path / "run", CAMERAS)
    shots = list(footage.shots())
    assert footage.instruction == "stack the bowls"
    assert footage.missing == ()
    assert [shot.time_s for shot in shots] == pytest.approx([0, 0.1, 0.2])
    assert shots[2].images["wrist"].mean() == pytest.approx(255, abs=3)


def test_one_of_several_episodes_must_be_named(tmp_path: Path) -> None:
    record(tmp_path / "set", [0.0, 1.0], count=2)
    with pytest.raises(InputError, match="--episode e0"):
        from_recording(tmp_path / "set", CAMERAS)
    assert len(list(from_recording(tmp_path / "set", CAMERAS, "e1").shots())) == 2


def test_a_folder_without_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither"):
        from_recording(tmp_path, CAMERAS)


@pytest.mark.parametrize(("times", "message"), [([], "0 frames"), ([0.0], "1 frame:"), ([0.0, 0.0], "not increase")])
def test_times_are_checked(times: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_times(times, Path("v.mp4"))
