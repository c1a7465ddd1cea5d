"""Frozen features of a dataset, computed once and kept beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pvla.core.config import VisionConfig
from pvla.core.vision import VisionEncoder
from pvla.datasets.features import FeatureStore, FeatureWriter
from pvla.datasets.sampling.views import View, views
from pvla.datasets.store import Episode, Store
from pvla.train.encoders import Encoders


def cache_features(
    store: Store, encoders: Encoders, on_episode: Callable[[int, int], None] | None = None
) -> FeatureStore:
    """Compute what is missing of a dataset's features and open them.

    Raises:
        InputError: the dataset has no camera for the encoder, or is damaged.
    """
    shown = encoder_views(store, encoders.vision.config)
    present = FeatureStore(store.path, encoders.key)
    missing = present.missing(store)
    with FeatureWriter(store.path, encoders.key) as writer:
        for i, name in enumerate(missing):
            writer.add(name, episode_features(store.episode(name), encoders.vision, shown))
            if on_episode is not None:
                on_episode(i + 1, len(missing))
    add_instructions(store, encoders)
    return FeatureStore(store.path, encoders.key)


def add_instructions(store: Store, encoders: Encoders) -> None:
    """Compute the token states of the instructions that have none yet.

    Raises:
        RunFault: the table cannot be written.
    """
    texts = _texts(store) - set(FeatureStore(store.path, encoders.key).instructions)
    if texts:
        with FeatureWriter(store.path, encoders.key) as writer:
            writer.add_instructions(instruction_features(sorted(texts), encoders))


def encoder_views(store: Store, config: VisionConfig) -> list[View]:
    """What the encoder's cameras are shown of a dataset.

    Raises:
        InputError: the dataset has no camera for any of them.
    """
    return views(store.info, {camera.name: camera.size for camera in config.cameras})


@torch.no_grad()
def episode_features(
    episode: Episode, vision: VisionEncoder, shown: Sequence[View], batch: int = 64
) -> NDArray[np.float16]:
    """Patches (T, P, D) of an episode, of what the encoder's cameras are shown of it."""
    images = {view.name: torch.from_numpy(view.pictures(episode)) for view in shown}
    starts = range(0, episode.length, batch)
    parts = [vision({name: x[i : i + batch] for name, x in images.items()}) for i in starts]
    return torch.cat(parts).numpy().astype(np.float16)


@torch.no_grad()
def instruction_features(texts: list[str], encoders: Encoders) -> dict[str, NDArray[np.float16]]:
    """Token states (L, Dt) by instruction."""
    states = encoders.text(encoders.tokens(texts)).numpy().astype(np.float16)
    return dict(zip(texts, states, strict=True))


@torch.no_grad()
def blank_features(vision: VisionEncoder) -> torch.Tensor:
    """Patches (P, D) of black pictures: what the estimator is shown for a camera that is not there."""
    images = {c.name: torch.zeros(1, c.size, c.size, 3, dtype=torch.uint8) for c in vision.config.cameras}
    return vision(images).squeeze(0)


def _texts(store: Store) -> set[str]:
    spoken = {entry.instruction for entry in store.info.episodes}
    return spoken | {text for task in store.info.tasks for text in task.instructions}
