from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from pvla.evaluate.timing import WARM_UP, interleaved, timed


def test_each_case_runs_once_a_round_in_changing_order() -> None:
    calls: list[str] = []

    def case(name: str, seconds: float) -> Callable[[], float]:
        def run() -> float:
            calls.append(name)
            return seconds

        return run

    rounds: list[int] = []
    found = interleaved({"a": case("a", 0.001), "b": case("b", 0.002)}, 20, lambda: rounds.append(len(calls)))
    assert rounds == [2 * (n + 1) for n in range(20 + WARM_UP)]
    assert all(set(calls[i : i + 2]) == {"a", "b"} for i in range(0, len(calls), 2))
    assert Counter(calls[::2]).keys() == {"a", "b"}
    assert [(t.name, t.p50_ms, t.rounds) for t in found] == [("a", 1.0, 20), ("b", 2.0, 20)]


def test_warm_up_does_not_count() -> None:
    durations = iter([9.0] * WARM_UP + [0.001, 0.003, 0.002])
    (timing,) = interleaved({"a": lambda: next(durations)}, 3)
    assert (timing.p50_ms, timing.rounds) == (2.0, 3)


def test_timed_runs_the_work() -> None:
    done: list[int] = []
    assert timed(lambda: done.append(1))() >= 0
    assert done == [1]
