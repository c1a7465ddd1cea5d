from __future__ import annotations

import numpy as np
import pytest

from pvla.sim.env import TabletopEnv
from pvla.sim.expert import OPEN_FINGERS, Expert, Phase
from pvla.sim.instructions import TASKS
from pvla.sim.recoveries import KINDS, Erring, Slip, kind_of
from pvla.sim.rollout import recover
from pvla.sim.scene import OBJECT_NAMES

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


def test_what_is_recorded_closes_only_around_the_target() -> None:
    """A mishap closes the fingers too high, opens them too early: nobody must learn that from it."""
    env = TabletopEnv("orange_to_plate", images=False, terminate_on_success=False)
    for kind in sorted(set(KINDS[env.task])):
        rollout = recover(env, kind, seed=2)
        wanted, fingers = np.array(rollout.action)[:, 6], np.array(rollout.state)[:, 6]
        orange = np.array(rollout.objects)[:, 3 * OBJECT_NAMES.index("orange") :][:, :3]
        away = np.linalg.norm(np.array(rollout.tcp) - orange, axis=1)
        closes = (wanted < 0.5) & (fingers > OPEN_FINGERS)
        assert closes.any()
        assert away[closes].max() < 0.015, kind


def test_an_erring_hand_is_followed_until_it_has_erred() -> None:
    env = TabletopEnv("pick_peach", images=False, terminate_on_success=False)
    env.reset(seed=3)
    erring = Expert(env, np.random.default_rng(0), grasp_error=np.array([0.0, 0.0, 0.05]), watchful=False)
    mishap = Erring(erring, until=Phase.LIFT)
    executed = []
    while erring.phase.value < Phase.LIFT.value and len(executed) < 100:
        executed.append(mishap(OPEN))
        env.step(executed[-1])
    assert len(executed) < 100
    assert executed[-2][6] == 0.0, "it closed on nothing"
    assert executed[-1] is OPEN
    assert mishap(OPEN) is OPEN


def check(task: str, kind: str) -> None:
    env = TabletopEnv(task, images=False, terminate_on_success=False)
    rollout = recover(env, kind, seed=1)
    label = np.array(rollout.progress)
    assert rollout.success
    assert rollout.kind == kind
    assert label[-1] > 0.8
    if kind != "miss":  # A hand that closes on nothing stands still; what is lost or put down askew falls back.
        assert (label[:-5] - label[5:]).max() > 0.0, "the mishap shows in the label"
    assert (label[5:] - label[:-5])[:-8].min() < 0.5 * 5 / len(label), "little headway during the mishap"


@pytest.mark.parametrize(("task", "kind"), QUICK)
def test_the_expert_recovers(task: str, kind: str) -> None:
    check(task, kind)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "kind"), [case for case in ALL if case not in QUICK])
def test_the_expert_recovers_from_every_mishap(task: str, kind: str) -> None:
    check(task, kind)
