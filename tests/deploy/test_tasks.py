from __future__ import annotations

import pytest

from pvla.deploy.tasks import match_task
from pvla.sim.instructions import HELD_OUT, TASKS, TRAINED

KNOWN = {task: TRAINED[task] for task in TASKS}


def test_trained_wordings_match_exactly() -> None:
    for task, wordings in KNOWN.items():
        for wording in wordings:
            match = match_task(f" {wording.upper()}!", KNOWN)
            assert match is not None
            assert (match.task, match.likeness) == (task, 1.0)


def test_most_unseen_wordings_find_their_task() -> None:
    matches = [(task, match_task(wording, KNOWN)) for task in TASKS for wording in HELD_OUT[task]]
    right = [match is not None and match.task == task for task, match in matches]
    assert sum(right) / len(right) > 0.9


@pytest.mark.parametrize("instruction", ["paint my boat", "sing", "drive to the station"])
def test_unlike_everything(instruction: str) -> None:
    match = match_task(instruction, KNOWN)
    assert match is not None
    assert not match.known


def test_nothing_known() -> None:
    assert match_task("stack the bowls", {}) is None
