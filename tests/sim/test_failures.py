from __future__ import annotations

import pytest

from pvla.sim.env import TabletopEnv
from pvla.sim.failures import KINDS, kind_of
from pvla.sim.instructions import TASKS
from pvla.sim.rollout import LONGEST_FAILURE, fail

ALL = [(task, kind) for task in TASKS for kind in KINDS[task]]
QUICK = [("pick_peach", "drop"), ("open_drawer", "slip"), ("orange_to_plate", "hover"), ("toy_to_drawer", "beside")]


def check(task: str, kind: str) -> list[float]:
    env = TabletopEnv(task, images=False, terminate_on_success=False)
    rollout = fail(env, kind, seed=1)
    assert not rollout.success
    assert 10 < len(rollout) <= LONGEST_FAILURE
    assert rollout.progress[0] == 0.0
    assert all(0.0 <= value < 0.95 for value in rollout.progress)
    return rollout.progress


@pytest.mark.parametrize(("task", "kind"), QUICK)
def test_it_fails(task: str, kind: str) -> None:
    check(task, kind)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "kind"), ALL)
def test_every_way_to_fail_fails(task: str, kind: str) -> None:
    check(task, kind)


def test_every_task_can_fail_in_all_its_ways_in_turn() -> None:
    for task in TASKS:
        kinds = [kind_of(task, index) for index in range(len(KINDS[task]))]
        assert tuple(kinds) == KINDS[task]
        assert kind_of(task, len(kinds)) == kinds[0]


def test_a_drop_falls_back_and_hovering_stays_below_the_goal() -> None:
    dropped = check("orange_to_plate", "drop")
    assert dropped[-1] < max(dropped) - 0.15
    hovering = check("orange_to_plate", "hover")
    assert 0.5 < hovering[-1] < 0.9
