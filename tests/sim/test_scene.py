from __future__ import annotations

from itertools import combinations

import mujoco
import numpy as np
import pytest

from pvla.sim.scene import (
    DRAWER_START,
    ITEMS,
    JITTER,
    MAX_OPENING,
    OBJECT_NAMES,
    TABLE_Z,
    Scene,
    sample_layout,
)

SEEDS = range(40)
RADII = {"orange": 0.028, "peach": 0.025, "toy": 0.03, "plate": 0.067, "bowl_blue": 0.047, "bowl_yellow": 0.047}


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def place(scene: Scene, seed: int) -> None:
    scene.place(sample_layout(np.random.default_rng(seed)))


def test_a_layout_depends_on_the_seed_alone() -> None:
    one, same, other = (sample_layout(np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.poses, same.poses)
    np.testing.assert_array_equal(one.joints, same.joints)
    assert one.drawer == same.drawer
    assert not np.allclose(one.poses, other.poses)


def test_objects_start_in_their_regions_and_the_drawer_ajar(scene: Scene) -> None:
    for seed in SEEDS:
        place(scene, seed)
        centres = np.array([item.region for item in ITEMS])
        assert np.abs(scene.objects()[:, :2] - centres).max() <= JITTER + 1e-9
        assert DRAWER_START[0] <= scene.drawer() <= DRAWER_START[1]


def test_regions_keep_objects_apart_whatever_the_seed() -> None:
    for a, b in combinations(ITEMS, 2):
        gap = np.abs(np.subtract(a.region, b.region)) - 2 * JITTER
        clear = RADII[a.name] + RADII[b.name]
        assert np.hypot(*np.maximum(gap, 0.0)) > clear - 1e-9, (a.name, b.name)


def test_nothing_moves_when_nobody_acts(scene: Scene) -> None:
    for seed in range(3):
        place(scene, seed)
        before = scene.objects()
        mujoco.mj_step(scene.model, scene.data, nstep=250)
        assert np.abs(scene.objects() - before).max() < 0.003
        assert np.abs(scene.data.qvel).max() < 0.05


def test_objects_rest_on_the_table(scene: Scene) -> None:
    place(scene, 0)
    mujoco.mj_step(scene.model, scene.data, nstep=250)
    heights = scene.objects()[:, 2] - TABLE_Z
    np.testing.assert_allclose(heights, [item.height for item in ITEMS], atol=0.002)


def test_state_reads_the_joints_and_the_open_gripper(scene: Scene) -> None:
    layout = sample_layout(np.random.default_rng(0))
    scene.place(layout)
    np.testing.assert_allclose(scene.state(), [*layout.joints, 1.0], atol=1e-12)
    fingers = scene.position("finger_left") - scene.position("finger_right")
    assert np.linalg.norm(fingers) == pytest.approx(MAX_OPENING)


def test_home_is_clear_of_the_objects(scene: Scene) -> None:
    for seed in SEEDS:
        place(scene, seed)
        assert not any(scene.touches_hand(name) for name in (*OBJECT_NAMES, "drawer"))
        assert scene.tcp()[2] - TABLE_Z > 0.12


def test_hand_yaw_is_the_turn_of_the_hand_about_the_vertical(scene: Scene) -> None:
    layout = sample_layout(np.random.default_rng(0))
    for azimuth, roll in ((0.3, 0.0), (0.0, 0.4), (-0.5, 0.2)):
        joints = np.array([azimuth, 1.63, 1.43, 1.63 - 1.43 - np.pi / 2, 0.0, roll])
        scene.place(type(layout)(layout.poses, layout.drawer, joints))
        assert scene.hand_yaw() == pytest.approx(azimuth - roll, abs=1e-6)
