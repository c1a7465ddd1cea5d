"""Probes: questions to which a sound estimator must answer no. They show whether its yes can be believed.

A curve that rises from 0 to 1 on a video of a success proves little: counting frames does that, too. So the same
pictures are shown backwards, and with instructions for other tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from pvla.deploy.tasks import match_task
from pvla.score.curve import Floats, done_index
from pvla.score.estimator import Estimator, Features

MOST_OBSERVATIONS = 64


@dataclass(frozen=True)
class Probe:
    """The estimator's answer to one question.

    Attributes:
        what: the question, for a reader.
        end: progress at the last observation.
        highest: largest progress.
        done: whether the control loop would have stopped.
        times: (n,) s since the first observation that was shown.
        progress: (n,) progress at those times.
    """

    what: str
    end: float
    highest: float
    done: bool
    times: Floats
    progress: Floats


@dataclass(frozen=True)
class Probes:
    """The video backwards, other instructions, and what the start alone and the half say."""

    backwards: Probe
    other_instructions: tuple[Probe, ...]
    static: float
    half: float


def probe(estimator: Estimator, instruction: str, times: Floats, features: Features, progress: Floats) -> Probes:
    """Ask the probes of a video.

    Args:
        estimator: what is asked.
        instruction: what the video should show.
        times: (T,) s of its observations.
        features: (T, P, D) of its observations.
        progress: (T,) progress of the video as it is.
    """
    chosen = _thinned(len(features))
    ask = partial(_ask, estimator)
    others = [
        ask(other, other, times[chosen], features[chosen]) for other in other_instructions(instruction, estimator.tasks)
    ]
    last = chosen[::-1]
    # P(l, o_0, o_0) is all that a video without motion would ever get.
    return Probes(
        backwards=ask("the video backwards", instruction, times[-1] - times[last], features[last]),
        other_instructions=tuple(others),
        static=float(progress[0]),
        half=float(progress[len(progress) // 2]),
    )


def other_instructions(instruction: str, tasks: Mapping[str, Sequence[str]]) -> list[str]:
    """The first wording of every task but the one that `instruction` is for."""
    match = match_task(instruction, tasks)
    asked = match.task if match and match.known else None
    return [wordings[0] for task, wordings in tasks.items() if task != asked and wordings]


def _thinned(count: int) -> npt.NDArray[np.intp]:
    """At most `MOST_OBSERVATIONS` of `count` indices, evenly spaced, with the first and the last."""
    shown = min(count, MOST_OBSERVATIONS)
    return np.unique(np.linspace(0, count - 1, shown).round().astype(np.intp))


def _ask(estimator: Estimator, what: str, instruction: str, times: Floats, features: Features) -> Probe:
    progress = estimator.progress(instruction, features[0], features)
    stop = estimator.stop
    done = done_index(progress, stop.threshold, stop.consecutive) is not None
    return Probe(what, float(progress[-1]), float(progress.max()), done, times, progress)
