from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from pvla.errors import InputError
from pvla.score.estimator import Estimator
from pvla.score.examine import Score, examine
from pvla.score.footage import Footage
from pvla.score.reference import Reference

RISING = [*np.linspace(0, 1, 21), 1.0, 1.0]
Estimators = Callable[..., Estimator]
Footages = Callable[[Sequence[float]], Footage]


def scored(footage: Footage, estimator: Estimator, instruction: str = "stack the bowls") -> Score:
    return examine(footage, instruction, estimator, epsilon=0.05)


def test_a_success_is_done_when_the_loop_would_have_stopped(footage: Footages, brightness: Estimators) -> None:
    score = scored(footage(RISING), brightness())
    assert score.verdict.kind == "done"
    assert score.done is not None
    assert score.times[score.done] == pytest.approx(1.9)
    assert not score.anomalies
    assert score.probes.static == 0
    assert score.probes.half == pytest.approx(0.55, abs=0.01)


def test_probes_answer_no_for_a_sound_estimator(footage: Footages, brightness: Estimators) -> None:
    probes = scored(footage(RISING), brightness()).probes
    assert not probes.backwards.done
    assert [other.what for other in probes.other_instructions] == ["open the drawer", "pick up the peach"]
    assert not any(other.done for other in probes.other_instructions)


def test_half_a_success_is_not_done(footage: Footages, brightness: Estimators) -> None:
    verdict = scored(footage(RISING[:12]), brightness()).verdict
    assert verdict.kind == "not done"
    assert "0.55" in verdict.reason


def test_what_is_undone_again_is_not_done(footage: Footages, brightness: Estimators) -> None:
    score = scored(footage([*RISING, 0.4, 0.4]), brightness())
    assert score.verdict.kind == "not done"
    assert "fell to 0.40" in score.verdict.reason
    assert max(anomaly.drop for anomaly in score.anomalies) == pytest.approx(0.6, abs=0.01)


def test_a_single_high_value_is_not_done(footage: Footages, brightness: Estimators) -> None:
    verdict = scored(footage([0, 0.5, 0.5, 1.0]), brightness()).verdict
    assert verdict.kind == "not done"
    assert "2 times in a row" in verdict.reason


def test_an_estimator_that_believes_any_instruction_is_not_believed(footage: Footages, brightness: Estimators) -> None:
    verdict = scored(footage(RISING), brightness(gullible=True)).verdict
    assert verdict.kind == "unknown"
    assert "2 other instructions" in verdict.reason


def test_an_instruction_like_none_that_was_trained_is_not_judged(footage: Footages, brightness: Estimators) -> None:
    verdict = scored(footage(RISING), brightness(), "water every plant").verdict
    assert verdict.kind == "unknown"
    assert "not trained" in verdict.reason


def test_pictures_like_none_that_were_trained_are_not_judged(footage: Footages, brightness: Estimators) -> None:
    reference = Reference(np.array([50.0, 50.0]), np.ones(2), limit=3.0)
    score = scored(footage(RISING), brightness(reference=reference))
    assert score.share_unlike == 1.0
    assert score.verdict.kind == "unknown"


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_frames_are_refused(count: int, footage: Footages, brightness: Estimators) -> None:
    with pytest.raises(InputError, match="two or more"):
        scored(footage(RISING[:count]), brightness())


def test_every_observation_is_told(footage: Footages, brightness: Estimators) -> None:
    seen: list[int] = []
    examine(footage(RISING), "stack the bowls", brightness(), 0.05, lambda: seen.append(1))
    assert len(seen) == len(RISING)
