"""Training draws from a dataset with cached features: any step's batch can be made again from (seed, step) alone.

This is the only module of `pvla.datasets` that reaches torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pvla.datasets.features import FeatureStore
from pvla.datasets.splits import HELD_OUT_EVERY, Split, progress_labels, split_episodes
from pvla.datasets.store import Episode, Store
from pvla.datasets.transforms import ActionTransform
from pvla.errors import InputError


@dataclass(frozen=True)
class FrameTable:
    """All episodes of a split, one row a frame, in memory.

    Attributes:
        patches: (F, P, D) float16.
        action: (F, A), state: (F, S) float32.
        progress: label p* (F,), NaN where nobody knows.
        first, last: row of the first and last frame of the row's episode (F,).
        texts: token states (n, L, Dt) float16.
        wordings: for each episode, the rows of `texts` that ask for it.
        episode: index of the row's episode (F,).
        success: whether the row's episode is a success (F,) bool.
        astray: whether something else was executed at the row than its action (F,) bool.
        task: index of the row's task (F,); where a dataset names no tasks, each instruction is one.
        latent: standardised a^z from this row's frame on (F, K, Z), or (F, 0, 0) before a world model exists.
    """

    patches: NDArray[np.float16]
    action: NDArray[np.float32]
    state: NDArray[np.float32]
    progress: NDArray[np.float32]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    texts: NDArray[np.float16]
    wordings: list[list[int]]
    episode: NDArray[np.int64]
    success: NDArray[np.bool_]
    astray: NDArray[np.bool_]
    task: NDArray[np.int64]
    latent: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.episode)

    def later(self, rows: NDArray[np.int64], gap: int) -> NDArray[np.int64]:
        """The row `gap` frames on, or the episode's last: pairs never leave their episode."""
        return np.minimum(rows + gap, self.last[rows])

    def strays(self, rows: NDArray[np.int64], gap: int) -> NDArray[np.bool_]:
        """Whether anything went astray from the rows to `gap` frames on (n,): their actions do not lead there."""
        before = np.concatenate([[0], np.cumsum(self.astray)])
        found: NDArray[np.bool_] = before[self.later(rows, gap)] > before[rows]
        return found

    def chunks(self, rows: NDArray[np.int64], horizon: int) -> NDArray[np.float32]:
        """Actions from each row on (n, H, A); past the episode's end its last action is held."""
        steps = np.minimum(rows[:, None] + np.arange(horizon), self.last[rows][:, None])
        rows_of_actions: NDArray[np.float32] = self.action[steps]
        return rows_of_actions


def load_frames(store: Store, features: FeatureStore, split: Split) -> FrameTable:
    """Read a split of the dataset and its features into memory.

    Raises:
        InputError: an episode has no features, no state, or the split has no successes.
    """
    chosen = split_episodes(store, split)
    if not any(episode.success for episode in chosen):
        raise InputError(
            f"{store.path} has no {split.replace('_', '-')} success: of each task every {HELD_OUT_EVERY}th success is "
            f"held out, so record at least {HELD_OUT_EVERY} of one task."
        )
    texts = sorted(features.instructions)
    return _table(chosen, features, {text: i for i, text in enumerate(texts)}, _wordings(store, texts))


def _wordings(store: Store, texts: list[str]) -> dict[str, list[int]]:
    """For each task, the rows of its instructions in the text table."""
    rows = {text: i for i, text in enumerate(texts)}
    return {t.name: [rows[text] for text in t.instructions if text in rows] for t in store.info.tasks}


def _table(
    episodes: list[Episode], features: FeatureStore, rows: dict[str, int], wordings: dict[str, list[int]]
) -> FrameTable:
    lengths = np.array([e.length for e in episodes])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    texts = np.stack([features.instructions[text] for text in sorted(features.instructions)])
    frames = int(lengths.sum())
    return FrameTable(
        patches=np.concatenate([features.patches(e.id) for e in episodes]),
        action=np.concatenate([e.action for e in episodes]),
        state=np.concatenate([_state(e) for e in episodes]),
        progress=np.concatenate([progress_labels(e) for e in episodes]),
        first=np.repeat(starts, lengths),
        last=np.repeat(starts + lengths - 1, lengths),
        texts=texts,
        wordings=[wordings.get(e.task or "", []) or [rows[e.instruction]] for e in episodes],
        episode=np.repeat(np.arange(len(episodes)), lengths),
        success=np.repeat(np.array([bool(e.success) for e in episodes]), lengths),
        astray=np.concatenate([_astray(e) for e in episodes]),
        task=np.repeat(_task_indices(episodes), lengths),
        latent=np.zeros((frames, 0, 0), np.float32),
    )


def _task_indices(episodes: list[Episode]) -> NDArray[np.int64]:
    names = [e.task or e.instruction for e in episodes]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _astray(episode: Episode) -> NDArray[np.bool_]:
    """The dataset's column `astray`, where it has one: nothing else says it."""
    given = episode.extras.get("astray")
    return np.zeros(episode.length, bool) if given is None else np.asarray(given)[:, 0] > 0.5


def _state(episode: Episode) -> NDArray[np.float32]:
    state = np.asarray(episode.state, np.float32)
    if not state.shape[1]:
        raise InputError(f"Episode {episode.id} has no robot state, which the policy needs; record it with one.")
    return state


@dataclass(frozen=True)
class Draws:
    """Random training batches out of a table.

    Attributes:
        table: the frames.
        batch: rows a batch.
        gap: N, frames between o_t and o_{t+N}.
        horizon: H.
        transform: normalises the action chunks.
        seed: together with the step it determines a batch.
        only_successes: policies learn from successes only, and not from what led astray; world models and estimators
            learn from everything labelled.
        failure_share: share of the rows drawn from failures where these are allowed.
    """

    table: FrameTable
    batch: int
    gap: int
    horizon: int
    transform: ActionTransform
    seed: int
    only_successes: bool
    failure_share: float = 0.25

    def rows(self, step: int) -> NDArray[np.int64]:
        """The frames o_t of a step's batch (B,); never an episode's last, so that no pair is an identity."""
        rng = self._rng(step)
        successes, failures = self._pools()
        if self.only_successes or not len(failures):
            return rng.choice(successes, self.batch)
        few = round(self.batch * self.failure_share)
        return np.concatenate([rng.choice(successes, self.batch - few), rng.choice(failures, few)])

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The batch of a step, by the names of `pvla.core.batch.Batch`."""
        t, rows = self.table, self.rows(step)
        rng = self._rng(step, 1)
        later = t.later(rows, self.gap)
        words = np.array([rng.choice(t.wordings[e]) for e in t.episode[rows]])
        action = self.transform.encode(t.chunks(rows, self.horizon), t.state[rows])
        arrays = {
            "text": t.texts[words],
            "start": t.patches[t.first[rows]],
            "now": t.patches[rows],
            "later": t.patches[later],
            "state": t.state[rows],
            "action": action,
            "progress_now": t.progress[rows],
            "progress_later": t.progress[later],
            "latent": t.latent[rows],
        }
        batch = {k: torch.tensor(v, dtype=torch.float32) for k, v in arrays.items()}
        return batch | {"task": torch.tensor(t.task[rows])}

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *(k % 2**32 for k in key)])

    def _pools(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        t = self.table
        rows = np.arange(len(t))
        usable = (rows < t.last) & np.isfinite(t.progress) & np.isfinite(t.progress[t.later(rows, self.gap)])
        if self.only_successes:
            usable &= ~t.strays(rows, self.gap)
        return rows[usable & t.success], rows[usable & ~t.success]


def fit_transform(table: FrameTable, horizon: int, relative: tuple[bool, ...]) -> ActionTransform:
    """The action transform of the successes in a table, but for what led astray (see `ActionTransform.fit`)."""
    rows = np.flatnonzero(table.success & ~table.strays(np.arange(len(table)), horizon))
    if not len(rows):
        raise InputError("The dataset has no successful episode; a policy needs demonstrations that reach their goal.")
    return ActionTransform.fit(table.chunks(rows, horizon), table.state[rows], relative)
