"""The verdict on a video, and why: done, not done, or not for this estimator to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pvla.deploy.manifest import Stop
from pvla.deploy.tasks import match_task
from pvla.score.curve import Floats
from pvla.score.probes import Probes

Kind = Literal["done", "not done", "unknown"]
MOST_UNLIKE = 0.5
"""Share of frames unlike any training frame above which the estimator does not know what it sees."""


@dataclass(frozen=True)
class Verdict:
    """`kind` "unknown" means: this does not look like a task that the estimator knows. `reason` is a sentence."""

    kind: Kind
    reason: str


def judge(progress: Floats, times: Floats, done: int | None, stop: Stop, doubt: str | None) -> Verdict:
    """The verdict.

    Args:
        progress: (T,) progress, 0..1.
        times: (T,) s.
        done: index at which the control loop would have stopped, or None.
        stop: threshold and observations in a row.
        doubt: why the estimator's answer cannot be believed, or None.
    """
    if doubt:
        return Verdict("unknown", doubt)
    best = int(progress.argmax())
    if done is None:
        often = "" if progress[best] < stop.threshold else f" {stop.consecutive} times in a row"
        reached = f"progress came to {progress[best]:.2f} at {times[best]:.1f} s"
        return Verdict("not done", f"{reached} and never reached {stop.threshold:.2f}{often}.")
    if progress[-1] < stop.threshold:
        return Verdict(
            "not done", f"it was done at {times[done]:.1f} s, but progress fell to {progress[-1]:.2f} by the end."
        )
    return Verdict("done", f"progress reached {stop.threshold:.2f} at {times[done]:.1f} s and stayed.")


def doubt(
    instruction: str, tasks: Mapping[str, Sequence[str]], share_unlike: float | None, probes: Probes
) -> str | None:
    """Why the estimator's answer cannot be believed, as a sentence, or None.

    Args:
        instruction: what the video should show.
        tasks: the wordings that the estimator was trained with, by task.
        share_unlike: share of frames that look like no training frame; None if that cannot be told.
        probes: its answers to questions that have to be answered with no.
    """
    match = match_task(instruction, tasks)
    if match is None or not match.known:
        nearest = f", the nearest being '{match.wording}'" if match else ""
        return f"the estimator was not trained on any task like '{instruction}'{nearest}."
    if share_unlike is not None and share_unlike > MOST_UNLIKE:
        return f"{share_unlike:.0%} of its frames look like nothing that the estimator was trained on."
    if probes.backwards.done:
        return "the estimator calls the same video done when it is shown backwards."
    fooled = sum(other.done for other in probes.other_instructions)
    if fooled > len(probes.other_instructions) / 2:
        return f"the estimator calls it done for {fooled} other instructions as well."
    return None
