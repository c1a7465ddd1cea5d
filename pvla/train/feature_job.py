"""Caching a dataset's features by processes, by parts, or on a cluster: what one sitting has sealed stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from pvla.core.config import Preset
from pvla.datasets.features import FeatureStore, FeatureWriter, set_unfinished_features
from pvla.datasets.pool import Part, Runner, Work, in_processes, in_this_process
from pvla.datasets.sampling.views import View
from pvla.datasets.store import Store
from pvla.datasets.validate import check_usable
from pvla.errors import RunFault
from pvla.train.encoders import load_encoders
from pvla.train.features import add_instructions, encoder_views, episode_features

BATCH: Final = 8


@dataclass(frozen=True)
class FeatureJob:
    """What all batches of episodes have in common.

    Attributes:
        path: the dataset.
        preset: names the encoders.
        prefix: of the shards' names.
        shown: what the encoder's cameras are shown.
    """

    path: Path
    preset: Preset
    prefix: str
    shown: Sequence[View]

    def start(self) -> Work[str, int]:
        """Load the encoders and return what computes a batch of episodes; it returns how many it did."""
        torch.set_num_threads(1)  # one thread a process: the same sums in the same order, whoever does them
        encoders = load_encoders(self.preset)
        store = Store.open(self.path)
        writer = FeatureWriter(self.path, encoders.key, shard_prefix=self.prefix)

        def compute(ids: list[str]) -> int:
            for id in ids:
                writer.add(id, episode_features(store.episode(id), encoders.vision, self.shown))
            writer.flush()
            return len(ids)

        return compute

    def give_up(self, item: str) -> int:
        """No dataset is trained on without the features of an episode.

        Raises:
            RunFault: always.
        """
        raise RunFault(f"Computing the features of episode {item} ended its process: `pvla data validate` it.")


def compute_features(
    path: Path,
    preset: Preset,
    *,
    workers: int = 1,
    part: Part | None = None,
    runner: Runner = in_processes,
    on_progress: Callable[[int, int], None] | None = None,
) -> FeatureStore:
    """Compute the features that a dataset does not have yet.

    Args:
        path: the dataset's folder.
        preset: names the encoders.
        workers: processes; 0 computes in this one.
        part: this machine's share of the episodes.
        runner: what does the work.
        on_progress: called with (episodes done, episodes in all).

    Returns:
        All features of these encoders.

    Raises:
        InputError: the dataset is damaged, or has no camera for the encoder.
        RunFault: the disk is full, or a process died; what was sealed stays.
    """
    report, part = on_progress or (lambda done, total: None), part or Part()
    encoders = load_encoders(preset)
    with check_usable(path) as store:
        shown = encoder_views(store, preset.vision)
        mine = part.of_items([entry.id for entry in store.info.episodes])
        set_unfinished_features(store.path, encoders.key, part, finished=False)
        present = FeatureStore(store.path, encoders.key)
        absent = set(present.missing(store))
        todo = [id for id in mine if id in absent]
        done = len(mine) - len(todo)
        report(done, len(mine))
        job = FeatureJob(store.path, preset, "shard" if part.of == 1 else f"part{part.number}", shown)
        batches = [todo[i : i + BATCH] for i in range(0, len(todo), BATCH)]
        with closing(runner(job, batches, workers) if workers else in_this_process(job, batches)) as counts:
            for count in counts:
                done += count
                report(done, len(mine))
        add_instructions(store, encoders)
        set_unfinished_features(store.path, encoders.key, part, finished=True)
        return FeatureStore(store.path, encoders.key)
