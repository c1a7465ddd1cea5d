from __future__ import annotations

import numpy as np

from pvla.deploy.chunks import ChunkBuffer


def plan(origin: int, offset: float = 0.0) -> np.ndarray:
    """Entry i says which step it is for."""
    return (origin + np.arange(8) + offset)[:, None]


def play(execute: int, delay: int, steps: int, blend: int = 0) -> tuple[list[float], list[int], ChunkBuffer]:
    buffer, waiting, actions, requests = ChunkBuffer(execute, delay, blend), [], [], []
    for now in range(steps):
        for origin in [o for o in waiting if now == 0 or now >= o + delay]:
            waiting.remove(origin)
            buffer.offer(plan(origin), origin)
        if buffer.wants_plan():
            buffer.requested()
            requests.append(buffer.step)
            waiting.append(buffer.step)
            if now == 0:
                buffer.offer(plan(waiting.pop()), 0)
        action = buffer.next()
        actions.append(np.nan if action is None else float(action[0]))
    return actions, requests, buffer


def test_each_step_gets_the_action_meant_for_it() -> None:
    for execute in (1, 2, 4):
        for delay in (0, 1, 2, 3):
            actions, _, _ = play(execute, delay, 20)
            assert actions == list(range(20)), (execute, delay)


def test_a_plan_is_wanted_after_so_many_executed_actions() -> None:
    assert play(2, 1, 10)[1] == [0, 2, 4, 6, 8]
    assert play(1, 3, 10)[1] == [0, 1, 4, 7]  # one inference at a time: the delay is the shortest spacing


def test_a_new_plan_waits_for_its_delay() -> None:
    buffer = ChunkBuffer(execute=2, delay=3)
    buffer.offer(plan(0), 0)
    buffer.next()
    buffer.offer(plan(1, offset=100), 1)
    taken = [float(buffer.next()[0]) for _ in range(5)]  # type: ignore[index]
    assert taken == [1, 2, 3, 104, 105]


def test_an_early_plan_for_the_first_step_is_used_at_once() -> None:
    buffer = ChunkBuffer(execute=2, delay=5)
    assert buffer.next() is None
    buffer.offer(plan(0), 0)
    assert buffer.next() is not None


def test_a_late_plan_lets_the_old_one_run_out_then_starves() -> None:
    buffer = ChunkBuffer(execute=2, delay=1)
    buffer.offer(plan(0), 0)
    actions = [buffer.next() for _ in range(10)]
    assert [a is None for a in actions] == [False] * 8 + [True] * 2
    assert buffer.starved == 2
    assert buffer.step == 8  # starving consumes no step, so the next plan is aligned all the same
    buffer.offer(plan(6), 6)
    assert buffer.next() == [8.0]


def test_blend_goes_linearly_from_the_old_plan_to_the_new() -> None:
    buffer = ChunkBuffer(execute=2, delay=1, blend=3)
    buffer.offer(np.zeros((8, 1)), 0)
    buffer.next()
    buffer.next()
    buffer.offer(np.ones((8, 1)), 1)
    assert [float(buffer.next()[0]) for _ in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]  # type: ignore[index]


def test_failed_plan_is_asked_for_again() -> None:
    buffer = ChunkBuffer(execute=4, delay=1)
    buffer.requested()
    assert not buffer.wants_plan()
    buffer.failed()
    assert buffer.wants_plan()
