"""Frozen features of a dataset, computed once and kept beside it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from pvla.core.vision import VisionEncoder
from pvla.datasets.features import FeatureStore, FeatureWriter
from pvla.datasets.store import Episode, Store
from pvla.errors import InputError
from pvla.train.encoders import Encoders


def cache_features(
    store: Store, encoders: Encoders, on_episode: Callable[[int, int], None] | None = None
) -> FeatureStore:
    """Compute what is missing of a dataset's features and open them.

    Raises:
        InputError: the dataset lacks a camera that the encoder wants, or has it in another size.
    """
    check_cameras(store, encoders.vision)
    present = FeatureStore(store.path, encoders.key)
    missing = present.missing(store)
    with FeatureWriter(store.path, encoders.key) as writer:
        for i, name in enumerate(missing):
            writer.add(name, episode_features(store.episode(name), encoders.vision))
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


@torch.no_grad()
def episode_features(episode: Episode, vision: VisionEncoder, batch: int = 64) -> NDArray[np.float16]:
    """Patches (T, P, D) of an episode."""
    images = {c.name: torch.from_numpy(episode.images(c.name)) for c in vision.config.cameras}
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


def check_cameras(store: Store, vision: VisionEncoder) -> None:
    """Whether the dataset has the pictures that the encoder wants.

    Raises:
        InputError: it lacks a camera, or has it in another size.
    """
    sizes = {c.name: (c.height, c.width) for c in store.info.cameras}
    for camera in vision.config.cameras:
        if sizes.get(camera.name) != (camera.size, camera.size):
            has = ", ".join(f"{n} {h}x{w}" for n, (h, w) in sizes.items())
            raise InputError(
                f"The encoder wants camera {camera.name!r} at {camera.size}x{camera.size} px; {store.path} has {has}."
            )
