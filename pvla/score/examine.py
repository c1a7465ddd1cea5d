"""Scoring: footage and instruction in, everything that a report shows out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pvla.deploy.manifest import Stop
from pvla.score import curve
from pvla.score.curve import Anomaly, Floats
from pvla.score.estimator import Estimator, Features
from pvla.score.footage import Footage, check_times
from pvla.score.probes import Probes, probe
from pvla.score.verdict import Verdict, doubt, judge


@dataclass(frozen=True)
class Score:
    """A scored video of T observations.

    Attributes:
        footage: what was scored.
        instruction: what it should show.
        estimator: name of the bundle.
        stop: when progress means done.
        epsilon: drop of progress that is still taken for noise.
        times: (T,) s since the first observation.
        progress: (T,) P(l, o_0, o_t).
        first_distance: (T,) baseline: distance of features from the first ones, largest 1.
        done: index at which the control loop would have stopped, or None.
        anomalies: pairs t, t' of Eq. 14.
        probes: answers to questions that have to be answered with no.
        share_unlike: share of frames that look like no training frame; None if the bundle cannot tell.
        verdict: done, not done or unknown, with the reason.
    """

    footage: Footage
    instruction: str
    estimator: str
    stop: Stop
    epsilon: float
    times: Floats
    progress: Floats
    first_distance: Floats
    done: int | None
    anomalies: Sequence[Anomaly]
    probes: Probes
    share_unlike: float | None
    verdict: Verdict

    @property
    def time_ramp(self) -> Floats:
        """(T,) the baseline that knows nothing but the time."""
        return curve.time_ramp(self.times)


def examine(
    footage: Footage,
    instruction: str,
    estimator: Estimator,
    epsilon: float,
    on_observation: Callable[[], None] = lambda: None,
) -> Score:
    """Score footage.

    Args:
        footage: what to score.
        instruction: what it should show.
        estimator: whose progress to ask.
        epsilon: drop of progress that is still taken for noise.
        on_observation: called after each observation was encoded.

    Raises:
        InputError: it has fewer than two frames, or cannot be read.
    """
    times, features = _encode(footage, estimator, on_observation)
    progress = estimator.progress(instruction, features[0], features)
    stop = estimator.stop
    probes = probe(estimator, instruction, times, features, progress)
    reference = estimator.reference(footage.given)
    unlike = reference.share_outside(features) if reference else None
    done = curve.done_index(progress, stop.threshold, stop.consecutive)
    why_not = doubt(instruction, estimator.tasks, unlike, probes)
    return Score(
        footage=footage,
        instruction=instruction,
        estimator=estimator.name,
        stop=stop,
        epsilon=epsilon,
        times=times,
        progress=progress,
        first_distance=curve.first_distance(features),
        done=done,
        anomalies=curve.anomalies(progress, epsilon),
        probes=probes,
        share_unlike=unlike,
        verdict=judge(progress, times, done, stop, why_not),
    )


def _encode(footage: Footage, estimator: Estimator, on_observation: Callable[[], None]) -> tuple[Floats, Features]:
    """Times (T,) and features (T, P, D) of all observations."""
    times: list[float] = []
    features: list[Features] = []
    for shot in footage.shots():
        times.append(shot.time_s)
        features.append(estimator.features(shot.images))
        on_observation()
    check_times(times, footage.source)
    return np.array(times), np.stack(features)
