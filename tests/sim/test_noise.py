from __future__ import annotations

import numpy as np

from pvla.sim.noise import JOINT_SPREAD, KICK_SPREAD, Disturbance, Pauses

ACTION = np.array([0.1, 1.5, 1.4, -1.4, 0.0, 0.2, 0.5], np.float32)


def test_the_disturbance_leaves_the_gripper_and_its_input_alone() -> None:
    disturb = Disturbance(np.random.default_rng(0))
    given = ACTION.copy()
    for _ in range(50):
        assert disturb(given)[6] == ACTION[6]
    np.testing.assert_array_equal(given, ACTION)


def test_the_disturbance_is_unbiased_small_noise_with_rare_kicks() -> None:
    disturb = Disturbance(np.random.default_rng(0))
    noise = np.array([disturb(ACTION) - ACTION for _ in range(4000)])[:, :6]
    assert np.abs(noise.mean(0)).max() < 0.003
    assert np.median(np.abs(noise)) < JOINT_SPREAD
    kicked = np.abs(noise).max(1) > 5 * JOINT_SPREAD
    assert 0.01 < kicked.mean() < 0.10
    assert np.abs(noise).max() > KICK_SPREAD


def test_pauses_hold_the_state_at_which_they_began_for_two_to_six_steps() -> None:
    pauses = Pauses(np.random.default_rng(0))
    lengths, length, held = [], 0, None
    for t in range(5000):
        hold = pauses.hold(np.full(7, float(t)))
        if hold is None:
            lengths.append(length)
            length = 0
        else:
            same = held is not None and length > 0 and hold[0] == held
            held, length = float(hold[0]), length + 1 if same or length == 0 else 1
    found = [length for length in lengths if length]
    assert set(found) <= set(range(2, 7))
    assert set(found) == {2, 3, 4, 5, 6}
    assert 0.10 < sum(found) / 5000 < 0.22
