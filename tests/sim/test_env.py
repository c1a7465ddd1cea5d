from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from pvla.errors import InputError
from pvla.sim.env import ENV_IDS, MAX_JOINT_SPEED, RATE_HZ, TabletopEnv
from pvla.sim.instructions import CANONICAL, TASKS


@pytest.fixture(scope="module")
def env() -> TabletopEnv:
    return TabletopEnv("stack_bowls", images=False, terminate_on_success=False)


@pytest.mark.filterwarnings("ignore:.*symmetric and normalized space")
@pytest.mark.parametrize("name", [ENV_IDS["stack_bowls"], pytest.param(ENV_IDS["open_drawer"], marks=pytest.mark.slow)])
def test_gymnasium_accepts_it(name: str) -> None:
    check_env(gymnasium.make(name).unwrapped, skip_render_check=True)


def test_every_task_is_registered() -> None:
    assert set(ENV_IDS) == set(TASKS)
    for task, name in ENV_IDS.items():
        env = gymnasium.make(name, images=False).unwrapped
        assert isinstance(env, TabletopEnv)
        assert env.task == task


def test_it_can_be_vectorised() -> None:
    envs = gymnasium.make_vec("pvla/OrangeToPlate-v0", num_envs=2, vectorization_mode="sync", images=False)
    observation, info = envs.reset(seed=[1, 2])
    assert observation["state"].shape == (2, 7)
    assert info["objects"].shape == (2, 6, 3)
    envs.step(envs.action_space.sample())


def test_observation_is_as_the_space_says() -> None:
    env = TabletopEnv("pick_peach")
    observation, info = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert observation["head"].shape == (128, 128, 3)
    assert observation["wrist"].shape == (64, 64, 3)
    assert info["instruction"] == CANONICAL["pick_peach"]
    assert observation["head"].std() > 20


def test_the_start_depends_on_the_seed_and_not_on_the_task() -> None:
    starts = []
    for task in TASKS:
        env = TabletopEnv(task, images=False)
        env.reset(seed=11)
        starts.append(env.qpos())
    np.testing.assert_array_equal(starts, [starts[0]] * len(starts))
    env.reset(seed=12)
    assert not np.allclose(env.qpos(), starts[0])


def test_the_same_actions_lead_to_the_same_place(env: TabletopEnv) -> None:
    ends = []
    for _ in range(2):
        env.reset(seed=5)
        env.action_space.seed(5)
        for _ in range(10):
            env.step(env.action_space.sample())
        ends.append(env.qpos())
    np.testing.assert_array_equal(*ends)


def test_holding_still_keeps_the_arm_within_a_millirad(env: TabletopEnv) -> None:
    observation, _ = env.reset(seed=1)
    for _ in range(10):
        after = env.step(observation["state"])[0]["state"]
    np.testing.assert_allclose(after, observation["state"], atol=1e-3)


def test_a_target_is_reached_within_the_step_after(env: TabletopEnv) -> None:
    observation, _ = env.reset(seed=1)
    target = observation["state"] + np.array([0.05, -0.05, 0.05, -0.05, 0.05, 0.05, 0.0], np.float32)
    env.step(target)
    state = env.step(target)[0]["state"]
    np.testing.assert_allclose(state[:6], target[:6], atol=2e-3)


def test_targets_are_cut_to_the_arms_speed(env: TabletopEnv) -> None:
    observation, _ = env.reset(seed=1)
    before = observation["state"][:6]
    wild = np.append(env.scene.joint_range[:, 1], 1.0).astype(np.float32)
    after = env.step(wild)[0]["state"][:6]
    assert np.all(np.abs(after - before) <= MAX_JOINT_SPEED / RATE_HZ * 1.1)


def test_the_gripper_closes_and_opens(env: TabletopEnv) -> None:
    observation, _ = env.reset(seed=1)
    action = observation["state"].copy()
    for opening in (0.0, 1.0, 0.5):
        action[6] = opening
        for _ in range(3):
            state = env.step(action)[0]["state"]
        assert state[6] == pytest.approx(opening, abs=0.03)


def test_an_episode_is_cut_off_at_max_steps() -> None:
    env = TabletopEnv("pick_peach", images=False, max_steps=3)
    observation, _ = env.reset(seed=0)
    ends = [env.step(observation["state"])[3] for _ in range(3)]
    assert ends == [False, False, True]


@pytest.mark.parametrize("task", TASKS)
def test_random_actions_do_not_do_the_task(task: str) -> None:
    env = TabletopEnv(task, images=False, terminate_on_success=False)
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(60):
        _, reward, terminated, _, info = env.step(env.action_space.sample())
        assert (reward, terminated, info["success"]) == (0.0, False, False)


def test_unknown_task_is_refused_in_one_sentence() -> None:
    with pytest.raises(InputError, match="no task 'juggle'"):
        TabletopEnv("juggle")


def test_render_gives_the_presentation_picture_only_when_asked(env: TabletopEnv) -> None:
    assert env.render() is None
    shown = TabletopEnv("pick_peach", images=False, render_mode="rgb_array")
    shown.reset(seed=0)
    assert shown.picture("view", 64, 48).shape == (48, 64, 3)
