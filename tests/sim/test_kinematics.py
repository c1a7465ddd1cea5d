from __future__ import annotations

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvla.sim import kinematics
from pvla.sim.scene import HOME, ITEMS, JITTER, TABLE_Z, Scene

DOWN = np.array([0.0, 0.0, -1.0])


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def test_forward_agrees_with_the_simulator(scene: Scene) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        joints = rng.uniform(*scene.joint_range.T)
        scene.data.qpos[:6] = joints
        mujoco.mj_forward(scene.model, scene.data)
        position, rotation = kinematics.forward(joints)
        np.testing.assert_allclose(position, scene.tcp(), atol=1e-12)
        np.testing.assert_allclose(rotation, scene.data.body("link6").xmat.reshape(3, 3), atol=1e-12)


@settings(deadline=None)
@given(st.floats(0.12, 0.45), st.floats(-1.2, 1.2), st.floats(-0.16, 0.0), st.floats(-1.0, 1.0))
def test_inverse_is_undone_by_forward(radius: float, azimuth: float, z: float, yaw: float) -> None:
    target = np.array([radius * np.cos(azimuth), radius * np.sin(azimuth), z])
    joints = kinematics.inverse(target, yaw)
    assert joints is not None
    position, rotation = kinematics.forward(joints)
    np.testing.assert_allclose(position, target, atol=1e-9)
    np.testing.assert_allclose(rotation[:, 0], DOWN, atol=1e-9)
    np.testing.assert_allclose(rotation[:, 1], [-np.sin(yaw), np.cos(yaw), 0.0], atol=1e-9)


def test_too_far_has_no_solution() -> None:
    assert kinematics.inverse(np.array([0.8, 0.0, 0.0]), 0.0) is None


def test_arm_reaches_every_start_of_every_object_within_its_limits(scene: Scene) -> None:
    for item in ITEMS:
        for dx, dy in np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)]) * JITTER:
            for height in (0.02, 0.15):
                x, y = item.region[0] + dx, item.region[1] + dy
                joints = kinematics.inverse(np.array([x, y, TABLE_Z + height]), float(np.arctan2(y, x)))
                assert joints is not None
                assert scene.can_reach(joints), (item.name, dx, dy, height)


def test_the_hand_points_down_at_home() -> None:
    _, rotation = kinematics.forward(HOME)
    assert rotation[:, 0] @ DOWN > 0.99
