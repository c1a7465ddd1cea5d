from __future__ import annotations

import re
from itertools import chain

import pytest

from pvla.sim.instructions import CANONICAL, HELD_OUT, TASKS, TRAINED, task_of

FILLERS = frozenset({"please", "could", "can", "would", "you", "i", "me", "for", "to", "go", "and", "now", "it", "up"})
ARTICLES = frozenset({"the", "a", "an", "that", "those"})


def words(wording: str) -> list[str]:
    return wording.split()


def content(wording: str) -> frozenset[str]:
    """The words that carry meaning: what is left after articles and politeness."""
    return frozenset(words(wording)) - FILLERS - ARTICLES


@pytest.mark.parametrize("task", TASKS)
def test_sizes_and_canonical_first(task: str) -> None:
    assert len(TRAINED[task]) >= 40
    assert len(HELD_OUT[task]) >= 12
    assert TRAINED[task][0] == CANONICAL[task]


def test_tables_have_exactly_the_tasks() -> None:
    assert set(TRAINED) == set(HELD_OUT) == set(CANONICAL) == set(TASKS)


def test_no_wording_occurs_twice() -> None:
    everything = list(chain.from_iterable([*TRAINED.values(), *HELD_OUT.values()]))
    assert len(everything) == len(set(everything))


def test_wordings_are_plain_and_fit_sixteen_tokens() -> None:
    for wording in chain.from_iterable([*TRAINED.values(), *HELD_OUT.values()]):
        assert re.fullmatch(r"[a-z]+( [a-z]+)*", wording), wording
        assert len(words(wording)) <= 14, wording


@pytest.mark.parametrize("task", TASKS)
def test_held_out_is_not_a_permutation_of_trained(task: str) -> None:
    trained = {content(wording) for wording in TRAINED[task]}
    for wording in HELD_OUT[task]:
        assert content(wording) not in trained, wording


def test_held_out_has_both_known_and_new_words() -> None:
    known = set(chain.from_iterable(words(w) for w in chain.from_iterable(TRAINED.values())))
    for task in TASKS:
        unseen = [wording for wording in HELD_OUT[task] if set(words(wording)) - known]
        assert 1 <= len(unseen) <= len(HELD_OUT[task]) // 2, task


@pytest.mark.parametrize(
    ("task", "named"),
    [
        ("pick_peach", {"peach"}),
        ("open_drawer", {"drawer", "cabinet"}),
        ("stack_bowls", {"bowl", "bowls"}),
        ("orange_to_plate", {"orange"}),
        ("toy_to_drawer", {"toy"}),
    ],
)
def test_every_wording_names_its_object_and_no_other(task: str, named: set[str]) -> None:
    objects = {"peach", "bowl", "bowls", "orange", "toy"} - named
    for wording in TRAINED[task] + HELD_OUT[task]:
        assert named & set(words(wording)), wording
        assert not objects & set(words(wording)), wording


def test_task_of_is_case_and_space_insensitive() -> None:
    assert task_of("  Stack   the BOWLS ") == "stack_bowls"
    assert task_of("fetch me that peach") == "pick_peach"
    assert task_of("make coffee") is None
    assert all(task_of(wording) == task for task in TASKS for wording in TRAINED[task] + HELD_OUT[task])
