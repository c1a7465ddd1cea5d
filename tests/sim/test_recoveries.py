from __future__ import annotations

import numpy as np
import pytest

from pvla.sim.env import TabletopEnv
from pvla.sim.instructions import TASKS
from pvla.sim.recoveries import KINDS, Slip, kind_of
from pvla.sim.rollout import recover

SHUT = np.array([0.1, 1.5, 1.4, -1.4, 0.0, 0.2, 0.0], np.float32)
OPEN = np.append(SHUT[:6], np.float32(1.0))
ALL = [(task, kind) for task in TASKS for kind in sorted(set(KINDS[task]))]
QUICK = [("stack_bowls", "askew"), ("pick_peach", "slip"), ("open_drawer", "miss")]


@pytest.mark.parametrize("seed", range(8))
def test_fingers_slip_open_once_and_then_shut(seed: int) -> None:
    slip = Slip(np.random.default_rng(seed))
    executed = np.array([slip(SHUT) for _ in range(60)])
    opened = np.flatnonzero(executed[:, 6] == 1.0)
    np.testing.assert_array_equal(executed[:, :6], np.tile(SHUT[:6], (60, 1)))
    assert 3 <= opened[0] < 25
    assert 2 <= len(opened) <= 4
    assert np.all(np.diff(opened) == 1)
    assert set(np.delete(executed[:, 6], opened)) == {0.0}


def test_nothing_slips_before_something_is_held() -> None:
    slip = Slip(np.random.default_rng(0))
    assert all(slip(OPEN)[6] == 1.0 for _ in range(100))


def test_after_a_slip_the_fingers_stay_shut_for_a_moment_whatever_is_wanted() -> None:
    shut = []
    for seed in range(30):
        slip = Slip(np.random.default_rng(seed))
        while slip(SHUT)[6] == 0.0:
            pass
        after = np.array([slip(OPEN)[6] for _ in range(20)])
        assert after[-1] == 1.0
        shut.append(int((after == 0.0).sum()))
    assert min(shut) == 0
    assert max(shut) == 8


def test_all_mishaps_take_turns() -> None:
    for task in TASKS:
        kinds = [kind_of(task, index) for index in range(len(KINDS[task]))]
        assert tuple(kinds) == KINDS[task]
        assert kind_of(task, len(kinds)) == kinds[0]


def check(task: str, kind: str) -> None:
    env = TabletopEnv(task, images=False, terminate_on_success=False)
    rollout = recover(env, kind, seed=1)
    label = np.array(rollout.progress)
    assert rollout.success
    assert rollout.kind == kind
    assert label[-1] > 0.8
    assert (label[:-5] - label[5:]).max() > 0.0, "the mishap shows in the label"


@pytest.mark.parametrize(("task", "kind"), QUICK)
def test_the_expert_recovers(task: str, kind: str) -> None:
    check(task, kind)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "kind"), [case for case in ALL if case not in QUICK])
def test_the_expert_recovers_from_every_mishap(task: str, kind: str) -> None:
    check(task, kind)
