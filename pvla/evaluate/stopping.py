"""Does progress say done when the task is done: stops too early, too late, and failures called done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from pvla.evaluate.protocol import Protocol
from pvla.evaluate.records import FootageRecord, Record, TrialRecord
from pvla.evaluate.statistics import Estimate, mean, wilson
from pvla.evaluate.summary import ALL, stopped_early

EARLY_MARGIN = 3
"""Steps by which a stop may be early and hardly matter: success itself must hold for up to 3 steps to count."""


@dataclass(frozen=True)
class StopFigures:
    """The progress rule at one task (or at all).

    Attributes:
        early: share of successes in which it said done before the scene was done.
        early_by_more: the same by more than EARLY_MARGIN steps.
        never: share of successes in which it did not say done within the steps that were watched.
        delay: steps from the scene's success to the stop, where the stop came then or later.
        delay_95: 95 % quantile of that.
        progress_at_success: P when the scene was first done.
        own_failures: share of the policy's own failed trials that were called done.
        provoked: share of scripted failures that were called done.
        provoked_by_kind: (called done, trials) by the way of failing.
    """

    task: str
    arm: str
    early: Estimate
    early_by_more: Estimate
    never: Estimate
    delay: Estimate
    delay_95: float
    progress_at_success: Estimate
    own_failures: Estimate
    provoked: Estimate
    provoked_by_kind: dict[str, tuple[int, int]]

    @property
    def failures(self) -> Estimate:
        """Share of all failures, own and provoked, that were called done."""
        both = (self.own_failures, self.provoked)
        called = sum(round(part.value * part.count) for part in both if part.count)
        return wilson(called, sum(part.count for part in both))


def stop_figures(records: Sequence[Record], protocol: Protocol) -> list[StopFigures]:
    """The rule's figures for each arm and task, then for all tasks together."""
    tasks = [*protocol.tasks, ALL] if len(protocol.tasks) > 1 else protocol.tasks
    return [_figures(records, task, arm) for arm in protocol.arms for task in tasks]


def _figures(records: Sequence[Record], task: str, arm: str) -> StopFigures:
    chosen = [record for record in records if task in (record.task, ALL)]
    trials = [record for record in chosen if isinstance(record, TrialRecord) and record.arm == arm]
    successes = [trial for trial in trials if trial.success]
    failures = [trial for trial in trials if not trial.success]
    provoked = [record for record in chosen if isinstance(record, FootageRecord) and not record.success]
    late = [trial for trial in successes if trial.stop_step is not None and not stopped_early(trial)]
    delays = [float(trial.stop_step - (trial.success_step or 0)) for trial in late if trial.stop_step is not None]
    return StopFigures(
        task=task,
        arm=arm,
        early=wilson(sum(map(stopped_early, successes)), len(successes)),
        early_by_more=wilson(sum(stopped_early(trial, EARLY_MARGIN) for trial in successes), len(successes)),
        never=wilson(sum(trial.stop_step is None for trial in successes), len(successes)),
        delay=mean(delays, [trial.seed for trial in late]),
        delay_95=float(np.quantile(delays, 0.95)) if delays else nan,
        progress_at_success=mean([_at_success(trial) for trial in successes], [trial.seed for trial in successes]),
        own_failures=wilson(sum(trial.stop_step is not None for trial in failures), len(failures)),
        provoked=wilson(sum(record.done_frame is not None for record in provoked), len(provoked)),
        provoked_by_kind=_by_kind(provoked),
    )


def _by_kind(records: list[FootageRecord]) -> dict[str, tuple[int, int]]:
    kinds = sorted({record.how for record in records})
    found = {kind: [record.done_frame is not None for record in records if record.how == kind] for kind in kinds}
    return {kind: (sum(called), len(called)) for kind, called in found.items()}


def _at_success(trial: TrialRecord) -> float:
    return nan if trial.success_step is None else trial.progress[trial.success_step]
