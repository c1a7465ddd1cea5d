from __future__ import annotations

import numpy as np
import pytest

from pvla.sim.env import TabletopEnv
from pvla.sim.expert import Expert, Phase
from pvla.sim.instructions import TASKS
from pvla.sim.scene import TABLE_Z

STEPS = 110


def run(env: TabletopEnv, expert: Expert) -> tuple[bool, float]:
    """Whether the task was done, and all rewards together."""
    rewards = 0.0
    for _ in range(STEPS):
        _, reward, terminated, _, _ = env.step(expert.act())
        rewards += reward
        if terminated:
            return True, rewards
    return False, rewards


@pytest.mark.parametrize("task", TASKS)
def test_it_does_every_task(task: str) -> None:
    env = TabletopEnv(task, images=False)
    env.reset(seed=1)
    assert run(env, Expert(env, np.random.default_rng(1), speed=0.018)) == (True, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_it_does_every_task_from_many_starts(task: str) -> None:
    env = TabletopEnv(task, images=False)
    done = []
    for seed in range(12):
        env.reset(seed=seed)
        done.append(run(env, Expert(env, np.random.default_rng(seed)))[0])
    assert all(done)


def test_it_takes_up_again_what_was_taken_from_it() -> None:
    env = TabletopEnv("orange_to_plate", images=False)
    env.reset(seed=2)
    expert = Expert(env, np.random.default_rng(2), speed=0.02)
    while expert.phase is not Phase.CARRY:
        env.step(expert.act())
    start = int(env.scene.model.joint("orange").qposadr[0])
    env.scene.data.qpos[start : start + 3] = (0.24, -0.10, TABLE_Z + 0.03)
    env.step(expert.act())
    expert.act()
    assert expert.phase is Phase.APPROACH
    assert run(env, expert)[0]


def test_without_watching_it_goes_on_empty_handed() -> None:
    env = TabletopEnv("pick_peach", images=False)
    env.reset(seed=3)
    high = np.array([0.0, 0.0, 0.05])
    expert = Expert(env, np.random.default_rng(3), speed=0.02, grasp_error=high, watchful=False)
    assert not run(env, expert)[0]
    assert expert.phase is Phase.REST


def test_speed_bounds_the_hands_steps() -> None:
    env = TabletopEnv("pick_peach", images=False)
    env.reset(seed=4)
    expert = Expert(env, np.random.default_rng(4), speed=0.012)
    places = [env.scene.tcp()]
    for _ in range(20):
        env.step(expert.act())
        places.append(env.scene.tcp())
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() < 0.012 * 1.25


def test_actions_stay_within_the_joint_limits() -> None:
    env = TabletopEnv("toy_to_drawer", images=False)
    env.reset(seed=5)
    expert = Expert(env, np.random.default_rng(5), speed=0.02)
    for _ in range(50):
        action = expert.act()
        assert env.action_space.contains(action)
        env.step(action)
