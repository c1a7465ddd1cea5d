"""What a bundle's policy was taught: finds the known task that an instruction is about."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LIKENESS = 0.5
"""Least share of words that an instruction has in common with a known wording of the task it is taken for."""


@dataclass(frozen=True)
class TaskMatch:
    """The known task nearest to an instruction: its name, its nearest wording, and how alike they are (0..1)."""

    task: str
    wording: str
    likeness: float

    @property
    def known(self) -> bool:
        """Whether the instruction is near enough for the policy to be expected to follow it."""
        return self.likeness >= LIKENESS


def match_task(instruction: str, tasks: Mapping[str, Sequence[str]]) -> TaskMatch | None:
    """The known task whose wording shares most words with `instruction`; None when no task is known."""
    words = _words(instruction)
    matches = [
        TaskMatch(task, wording, _likeness(words, _words(wording)))
        for task, wordings in tasks.items()
        for wording in wordings
    ]
    return max(matches, key=lambda match: match.likeness, default=None)


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))


def _likeness(first: frozenset[str], second: frozenset[str]) -> float:
    return len(first & second) / max(len(first | second), 1)
