from __future__ import annotations

import mujoco
import numpy as np
import pytest

from pvla.sim.instructions import TASKS
from pvla.sim.scene import TABLE_Z, Scene, sample_layout
from pvla.sim.tasks import CONDITIONS, STEPS_IN_A_ROW, SuccessCheck


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.place(sample_layout(np.random.default_rng(0)))
    return scene


def put(
    scene: Scene, name: str, position: tuple[float, float, float], quaternion: tuple[float, ...] = (1, 0, 0, 0)
) -> None:
    start = int(scene.model.joint(name).qposadr[0])
    scene.data.qpos[start : start + 7] = (*position, *quaternion)
    scene.data.qvel[:] = 0.0
    mujoco.mj_forward(scene.model, scene.data)


def settle(scene: Scene) -> None:
    mujoco.mj_step(scene.model, scene.data, nstep=400)
    mujoco.mj_forward(scene.model, scene.data)


def test_there_is_a_check_for_every_task() -> None:
    assert set(CONDITIONS) == set(STEPS_IN_A_ROW) == set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_nothing_is_done_at_the_start(task: str) -> None:
    scene = Scene()
    for seed in range(10):
        scene.place(sample_layout(np.random.default_rng(seed)))
        settle(scene)
        assert not CONDITIONS[task](scene)


def test_a_peach_in_the_air_that_nobody_holds_is_not_picked_up(scene: Scene) -> None:
    put(scene, "peach", (0.4, -0.05, TABLE_Z + 0.2))
    assert not CONDITIONS["pick_peach"](scene)


def test_a_peach_between_the_fingers_is_picked_up_after_three_steps(scene: Scene) -> None:
    put(scene, "peach", tuple(scene.tcp()))
    scene.data.ctrl[6:8] = 0.0
    check = SuccessCheck("pick_peach")
    seen = []
    for _ in range(10):
        mujoco.mj_step(scene.model, scene.data, nstep=50)
        mujoco.mj_forward(scene.model, scene.data)
        seen.append(check.update(scene))
    assert seen[-1]
    assert not any(seen[:2])


def test_the_drawer_counts_from_13_cm(scene: Scene) -> None:
    for opening, done in ((0.129, False), (0.131, True)):
        scene.data.joint("drawer").qpos[0] = opening
        assert CONDITIONS["open_drawer"](scene) is done


@pytest.mark.parametrize(("upper", "lower"), [("bowl_blue", "bowl_yellow"), ("bowl_yellow", "bowl_blue")])
def test_either_bowl_in_the_other_is_a_stack(scene: Scene, upper: str, lower: str) -> None:
    x, y, z = scene.position(lower)
    put(scene, upper, (x, y, z + 0.03))
    assert not CONDITIONS["stack_bowls"](scene)
    settle(scene)
    assert CONDITIONS["stack_bowls"](scene)


def test_bowls_side_by_side_or_upside_down_are_no_stack(scene: Scene) -> None:
    x, y, z = scene.position("bowl_yellow")
    put(scene, "bowl_blue", (x - 0.1, y, z))
    assert not CONDITIONS["stack_bowls"](scene)
    put(scene, "bowl_blue", (x, y, z + 0.02), (0, 1, 0, 0))
    assert not CONDITIONS["stack_bowls"](scene)


def test_the_orange_counts_on_the_plate_only(scene: Scene) -> None:
    x, y, z = scene.position("plate")
    put(scene, "orange", (x + 0.01, y, z + 0.04))
    settle(scene)
    assert CONDITIONS["orange_to_plate"](scene)
    put(scene, "orange", (x - 0.1, y, z + 0.028))
    settle(scene)
    assert not CONDITIONS["orange_to_plate"](scene)


def test_the_toy_counts_in_the_drawer_but_not_on_the_cabinet(scene: Scene) -> None:
    x, y, z = scene.position("drawer")
    put(scene, "toy", (x + 0.04, y, z + 0.05))
    settle(scene)
    assert CONDITIONS["toy_to_drawer"](scene)
    put(scene, "toy", (x + 0.15, y, z + 0.10))
    settle(scene)
    assert not CONDITIONS["toy_to_drawer"](scene)


def test_a_condition_has_to_hold_for_steps_in_a_row(scene: Scene) -> None:
    x, y, z = scene.position("bowl_yellow")
    put(scene, "bowl_blue", (x, y, z + 0.03))
    settle(scene)
    check = SuccessCheck("stack_bowls")
    assert [check.update(scene) for _ in range(3)] == [False, True, True]
    put(scene, "bowl_blue", (x - 0.1, y, z))
    assert not check.update(scene)
