from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pvla.datasets.features import FeatureStore, FeatureWriter
from pvla.datasets.loader import (
    Draws,
    FrameTable,
    fit_transform,
    load_frames,
)
from pvla.datasets.schema import DatasetInfo, Task
from pvla.datasets.splits import progress_labels, split_episodes
from pvla.datasets.store import Store
from pvla.datasets.writer import StoreWriter
from pvla.errors import InputError

GAP, HORIZON = 4, 5
TASKS = {"stack_bowls": ["stack the bowls", "bowls, please"], "open_drawer": ["open the drawer"]}
Recipe = dict[str, tuple[str, bool | None, int]]


def recipe(successes: int = 20, failures: int = 10) -> Recipe:
    """Episodes by id: task, success, length."""
    tasks = list(TASKS)
    made: Recipe = {f"s{i:03d}": (tasks[i % 2], True, 5 + i % 7) for i in range(successes)}
    return made | {f"f{i:03d}": (tasks[0], False, 6 + i % 3) for i in range(failures)}


@pytest.fixture
def make(tmp_path: Path, info: DatasetInfo) -> Callable[..., tuple[Store, FeatureStore]]:
    """A dataset in which a frame's patches say which episode and time it is of."""

    def build(episodes: Recipe, labels: bool = True, **update: object) -> tuple[Store, FeatureStore]:
        tasks = [Task(name=name, instructions=texts) for name, texts in TASKS.items()]
        info_here = info.model_copy(update={"tasks": tasks, "cameras": [], **update})
        rng = np.random.default_rng(0)
        with StoreWriter(tmp_path / "data", info_here) as writer:
            for id, (task, success, length) in episodes.items():
                with writer.episode(id, TASKS[task][0], task) as episode:
                    for t in range(length):
                        state = rng.normal(size=len(info_here.state_names))
                        episode.add({}, rng.normal(size=3), state, t / 10)
                    if labels and not success:
                        episode.set_extra("progress", np.linspace(0, 0.4, length)[:, None])
                    episode.finish(success)
        store = Store.open(tmp_path / "data")
        with FeatureWriter(store.path, "fake") as writer:
            for number, episode in enumerate(store):
                where = np.stack([np.full(episode.length, number), np.arange(episode.length)], axis=1)
                writer.add(episode.id, np.repeat(where[:, None], 2, axis=1))
            texts = sorted(text for wordings in TASKS.values() for text in wordings)
            writer.add_instructions({text: np.full((3, 2), i) for i, text in enumerate(texts)})
        return store, FeatureStore(store.path, "fake")

    return build


@pytest.fixture
def table(make) -> FrameTable:
    return load_frames(*make(recipe()), "train")


def make_draws(table: FrameTable, **settings: object) -> Draws:
    transform = fit_transform(table, HORIZON, (True, True, False))
    arguments = {"batch": 16, "gap": GAP, "horizon": HORIZON, "seed": 0, "only_successes": False, **settings}
    return Draws(table=table, transform=transform, **arguments)


def test_a_batch_is_of_one_episode_row_by_row_and_never_an_identity(table: FrameTable) -> None:
    draws = make_draws(table)
    for step in range(30):
        batch = draws(step)
        start, now, later = (batch[name][:, 0].numpy() for name in ("start", "now", "later"))
        assert (start[:, 0] == now[:, 0]).all()
        assert (start[:, 0] == later[:, 0]).all()
        assert (start[:, 1] == 0).all()
        ahead = later[:, 1] - now[:, 1]
        assert ((ahead >= 1) & (ahead <= GAP)).all()
        assert (ahead == GAP).mean() > 0.2


def test_every_frame_but_the_last_is_drawn_sooner_or_later(table: FrameTable) -> None:
    draws = make_draws(table)
    drawn = set(np.concatenate([draws.rows(step) for step in range(400)]))
    assert drawn == set(np.flatnonzero(np.arange(len(table)) < table.last))


def test_a_step_determines_its_batch_and_steps_differ(table: FrameTable) -> None:
    draws, again, other = make_draws(table), make_draws(table), make_draws(table, seed=1)
    for step in (0, 7, -3):
        one, two = draws(step), again(step)
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)
        assert not torch.equal(one["state"], other(step)["state"])
    assert not torch.equal(draws(0)["state"], draws(1)["state"])


def test_splits_share_no_episode_and_hold_out_a_tenth_of_each_kind(make) -> None:
    store, features = make(recipe(40, 20))
    train, held_out = ({e.id for e in split_episodes(store, split)} for split in ("train", "held_out"))
    assert train | held_out == {e.id for e in store}
    assert not train & held_out
    kinds = [(store.episode(id).task, store.episode(id).success) for id in held_out]
    assert sorted(kinds) == sorted(
        [("stack_bowls", True)] * 2 + [("open_drawer", True)] * 2 + [("stack_bowls", False)] * 2
    )
    patches = [load_frames(store, features, split).patches[:, 0, 0] for split in ("train", "held_out")]
    assert not set(patches[0]) & set(patches[1])


def test_labels_of_successes_are_time_and_of_failures_what_the_data_says(make) -> None:
    store, features = make(recipe())
    table = load_frames(store, features, "train")
    np.testing.assert_allclose(progress_labels(store.episode("s003")), np.linspace(0, 1, 8))
    np.testing.assert_allclose(progress_labels(store.episode("f001")), np.linspace(0, 0.4, 7), atol=1e-6)
    last = np.arange(len(table)) == table.last
    np.testing.assert_allclose(table.progress[last & table.success], 1)
    np.testing.assert_allclose(table.progress[last & ~table.success], 0.4, atol=1e-6)


def test_failures_nobody_labelled_are_not_drawn(make) -> None:
    table = load_frames(*make(recipe(), labels=False), "train")
    assert np.isnan(table.progress[~table.success]).all()
    draws = make_draws(table)
    assert all(table.success[draws.rows(step)].all() for step in range(50))


def test_no_label_in_a_batch_is_unknown(make) -> None:
    table = load_frames(*make(recipe()), "train")
    table.progress[table.last[~table.success]] = np.nan  # known but for the last frame
    draws = make_draws(table)
    for step in range(50):
        batch = draws(step)
        assert batch["progress_now"].isfinite().all()
        assert batch["progress_later"].isfinite().all()


def test_a_quarter_are_failures_and_policies_see_none(table: FrameTable) -> None:
    assert [int((~table.success[make_draws(table).rows(s)]).sum()) for s in range(5)] == [4] * 5
    policy = make_draws(table, only_successes=True)
    assert all(table.success[policy.rows(s)].all() for s in range(20))


def test_policies_do_not_learn_from_what_led_astray(table: FrameTable) -> None:
    astray = np.zeros(len(table), bool)
    astray[[20, 21, 60]] = True
    table = replace(table, astray=astray)
    near = {row for where in np.flatnonzero(astray) for row in range(where - GAP + 1, where + 1)}
    near = {row for row in near if any(row <= w <= table.last[row] for w in np.flatnonzero(astray))}
    policy, world = make_draws(table, only_successes=True), make_draws(table)
    assert near.isdisjoint(np.concatenate([policy.rows(step) for step in range(200)]))
    drawn = set(np.concatenate([world.rows(step) for step in range(200)]))
    assert {20, 21} & drawn, "the world model learns from all that happens"


def test_what_led_astray_does_not_widen_the_actions(table: FrameTable) -> None:
    astray = np.isin(np.arange(len(table)), np.flatnonzero(table.success)[:10])
    wild = np.where(astray[:, None], np.float32(1000), table.action)
    fitted = fit_transform(replace(table, action=wild), HORIZON, (True, True, False))
    assert np.max(fitted.high) > 100
    marked = replace(table, action=wild, astray=astray)
    assert np.max(fit_transform(marked, HORIZON, (True, True, False)).high) < 10


def test_a_row_is_asked_for_in_all_wordings_of_its_task_and_no_other(table: FrameTable) -> None:
    texts = sorted(text for wordings in TASKS.values() for text in wordings)
    draws, heard = make_draws(table), {}
    for step in range(30):
        batch = draws(step)
        for task, word in zip(batch["task"].tolist(), batch["text"][:, 0, 0].int().tolist(), strict=True):
            heard.setdefault(task, set()).add(texts[word])
    assert sorted(map(sorted, heard.values())) == sorted(map(sorted, TASKS.values()))
    assert batch["task"].dtype == torch.int64


def test_chunks_hold_the_last_action_past_the_end(table: FrameTable) -> None:
    end = table.last[0]
    chunk = table.chunks(np.array([end - 1]), HORIZON)[0]
    np.testing.assert_array_equal(chunk[0], table.action[end - 1])
    np.testing.assert_array_equal(chunk[1:], np.repeat(table.action[end][None], HORIZON - 1, axis=0))


def test_actions_come_out_of_a_batch_as_they_went_in(table: FrameTable) -> None:
    draws = make_draws(table)
    batch, rows = draws(3), draws.rows(3)
    assert batch["action"].abs().max() <= 1
    back = draws.transform.decode(batch["action"].numpy(), batch["state"].numpy())
    inside = batch["action"].abs().numpy() < 1
    np.testing.assert_allclose(back[inside], table.chunks(rows, HORIZON)[inside], atol=1e-4)


def test_too_few_successes_and_no_state_are_refused(make) -> None:
    with pytest.raises(InputError, match="at least 10 of one task"):
        load_frames(*make(recipe(18, 12)), "held_out")


def test_data_without_state_is_refused(make) -> None:
    with pytest.raises(InputError, match="no robot state"):
        load_frames(*make(recipe(), state_names=[]), "train")


def test_data_without_a_success_cannot_teach_a_policy(table: FrameTable) -> None:
    table.success[:] = False
    with pytest.raises(InputError, match="no successful episode"):
        fit_transform(table, HORIZON, (True, True, False))
