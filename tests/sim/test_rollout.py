from __future__ import annotations

import numpy as np
import pytest

from pvla.sim.afterwards import LINGERING
from pvla.sim.env import TabletopEnv
from pvla.sim.labels import AFTER_SUCCESS
from pvla.sim.rollout import demonstrate, linger, recover
from pvla.sim.tasks import SuccessCheck


@pytest.fixture(scope="module")
def env() -> TabletopEnv:
    return TabletopEnv("open_drawer", images=False, terminate_on_success=False, max_steps=1000)


def test_a_demonstration_is_the_same_for_the_same_seed(env: TabletopEnv) -> None:
    one, two, other = demonstrate(env, 7), demonstrate(env, 7), demonstrate(env, 8)
    np.testing.assert_array_equal(one.qpos, two.qpos)
    np.testing.assert_array_equal(one.action, two.action)
    assert len(other) != len(one) or not np.allclose(one.action, other.action)


def test_a_demonstration_goes_on_after_success(env: TabletopEnv) -> None:
    rollout = demonstrate(env, 7, noise=False)
    openings = np.array(rollout.objects)[:, -1]
    done = int(np.argmax(openings >= 0.13))
    assert rollout.success
    assert len(rollout) - 1 - done == AFTER_SUCCESS


def test_every_frame_has_all_columns(env: TabletopEnv) -> None:
    rollout = demonstrate(env, 7)
    shapes = {
        name: np.shape(getattr(rollout, name))
        for name in ("qpos", "action", "state", "objects", "tcp", "progress", "astray")
    }
    frames = len(rollout)
    assert shapes == {
        "qpos": (frames, env.scene.model.nq),
        "action": (frames, 7),
        "state": (frames, 7),
        "objects": (frames, 19),
        "tcp": (frames, 3),
        "progress": (frames,),
        "astray": (frames,),
    }


def test_recorded_actions_are_clean_though_the_motion_is_not(env: TabletopEnv) -> None:
    """The noise of consecutive states must not show in the actions' distance from the state."""
    rollout = demonstrate(env, 7)
    ahead = np.array(rollout.action)[:, :6] - np.array(rollout.state)[:, :6]
    assert np.abs(ahead[:, 4]).max() < 0.15
    assert np.abs(np.array(rollout.action)[:, 4]).mean() < 0.02


def test_the_success_of_a_rollout_is_that_of_the_scene(env: TabletopEnv) -> None:
    rollout = demonstrate(env, 9)
    assert SuccessCheck("open_drawer").update(env.scene) == rollout.success


def test_a_slip_loses_the_orange_and_the_expert_takes_it_up_again() -> None:
    env = TabletopEnv("orange_to_plate", images=False, terminate_on_success=False, max_steps=1000)
    rollout = recover(env, "slip", seed=4)
    wanted, fingers = np.array(rollout.action)[:, 6], np.array(rollout.state)[:, 6]
    label = np.array(rollout.progress)
    lost = int(np.flatnonzero((wanted[:-1] < 0.5) & (np.diff(fingers) > 0.2))[0])
    assert rollout.success
    assert rollout.kind == "slip"
    assert rollout.astray[lost]
    assert 2 <= sum(rollout.astray) <= 12
    assert label[lost + 1 : lost + 15].min() < label[lost] - 0.05, "the label falls when the orange does"
    assert label[-1] > 0.85
    assert wanted[lost + 1 :].max() == 1.0, "then the expert wants the fingers open again"
    assert (np.diff(wanted[lost + 1 :]) < -0.5).any(), "and shut once more"


def test_a_recovery_is_the_same_for_the_same_seed(env: TabletopEnv) -> None:
    one, two = recover(env, "miss", 7), recover(env, "miss", 7)
    np.testing.assert_array_equal(one.qpos, two.qpos)
    np.testing.assert_array_equal(one.progress, two.progress)
    assert one.success
    assert len(one) > len(demonstrate(env, 7, noise=False))


def test_afterwards_the_hand_moves_about_and_what_is_done_stays_done() -> None:
    env = TabletopEnv("stack_bowls", images=False, terminate_on_success=False, max_steps=1000)
    rollout = linger(env, seed=3)
    done = rollout.progress.index(1.0) - AFTER_SUCCESS
    after = np.array(rollout.tcp)[done:]
    assert rollout.success
    assert len(after) > LINGERING
    assert np.linalg.norm(after - after[0], axis=1).max() > 0.05
    assert rollout.progress[-1] == 1.0
    assert not any(rollout.astray[:done])
    assert sum(rollout.astray[done:]) > LINGERING / 2
