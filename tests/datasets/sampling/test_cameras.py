from __future__ import annotations

import pytest

from pvla.datasets.sampling.cameras import choose, role
from pvla.datasets.schema import ActionSpace, Camera, DatasetInfo
from pvla.errors import InputError


def dataset(*cameras: str) -> DatasetInfo:
    space = ActionSpace(kind="unknown", names=["a"], units=["?"], frame="?", gripper="none", rate_hz=10)
    listed = [Camera(name=name, height=4, width=4) for name in cameras]
    return DatasetInfo(name="test", fps=10, cameras=listed, action_space=space)


@pytest.mark.parametrize("name", ["wrist", "eye_in_hand", "hand_camera", "cam_left_wrist", "rgb_gripper", "Wrist_1"])
def test_cameras_on_the_arm(name: str) -> None:
    assert role(name) == "wrist"


@pytest.mark.parametrize("name", ["head", "agentview", "image_0", "observation.images.cam_high", "rgb_static"])
def test_cameras_that_see_the_scene(name: str) -> None:
    assert role(name) == "scene"


def test_names_come_before_roles_and_none_is_taken_twice() -> None:
    info = dataset("front", "side", "left_wrist", "right_wrist")
    assert choose(info, ["scene", "wrist"]) == ["front", "left_wrist"]
    assert choose(info, ["wrist", "wrist", "scene"]) == ["left_wrist", "right_wrist", "front"]
    assert choose(info, ["scene", "front"]) == ["side", "front"]
    assert choose(info, ["side", "front"]) == ["side", "front"]
    assert choose(dataset("front", "side"), ["side", "wrist"]) == ["side", None]
    assert choose(dataset("wrist"), ["wrist", "wrist"]) == ["wrist", None]
    assert choose(info, []) == []


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"no camera wrist: it has front \(scene\)"):
        choose(dataset("front"), ["wrist"])
    with pytest.raises(InputError, match="no camera top: it has front"):
        choose(dataset("front"), ["front", "top"])
    with pytest.raises(InputError, match="no camera front: it has front"):
        choose(dataset("front"), ["front", "front"])
    with pytest.raises(InputError, match="no camera scene or wrist: it has no cameras"):
        choose(dataset(), ["scene", "wrist"])
