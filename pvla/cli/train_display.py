"""What `pvla train` shows while a stage trains: a live line on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from pvla.core.fit import Progress as Step

RECENT = 20
"""Steps over which the shown values are averaged: single batches jump too much to be read."""

PLAIN_LINES = 10
"""Lines a stage where nobody watches a live display."""


class RateColumn(ProgressColumn):
    """Work done per second."""

    def render(self, task: Task) -> Text:
        """The rate, or a blank before there is one."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "", style="dim")


class StageDisplay:
    """Shows a stage's training: features first, then steps with loss, rate and time left.

    Args:
        console: where to.
        stage: its name.
        first: steps done before, by a run that goes on.
        quiet: show nothing.
    """

    def __init__(self, console: Console, stage: str, first: int, quiet: bool) -> None:
        self._console, self._stage, self._first = console, stage, first
        self._plain = not quiet and not console.is_terminal
        self._recent: deque[dict[str, float]] = deque(maxlen=RECENT)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[values]}"),
            console=console,
            disable=quiet or not console.is_terminal,
            transient=True,
        )
        self._features = self._bars.add_task("features", total=None, visible=False, values="")
        self._steps = self._bars.add_task(stage, total=None, visible=False, completed=first, values="")

    def on_features(self, done: int, total: int) -> None:
        """An episode's features are computed."""
        self._bars.update(self._features, completed=done, total=total, visible=done < total)
        if self._plain and done == total:
            self._console.print(f"features of {total} episodes computed")

    def on_step(self, stage: str, step: Step) -> None:
        """A step of training is done."""
        self._recent.append(step.metrics)
        values = describe(self._mean())
        self._bars.update(self._steps, completed=step.step, total=step.steps, visible=True, values=values)
        if self._plain and step.step % max(1, step.steps // PLAIN_LINES) == 0:
            self._console.print(f"{stage} {step.step}/{step.steps}: {values}", soft_wrap=True)

    def __enter__(self) -> StageDisplay:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def _mean(self) -> dict[str, float]:
        names = dict.fromkeys(name for row in self._recent for name in row)
        columns = {name: [row[name] for row in self._recent if name in row] for name in names}
        return {name: sum(column) / len(column) for name, column in columns.items()}


def describe(metrics: dict[str, float]) -> str:
    """Metrics in one line: `loss 0.0213, mse 0.0114`."""
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
