"""Compute the frozen encoders' features of a dataset with several processes, before stages that train side by side.

python scripts/cache_features.py data/demo --preset tiny --workers 2
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from pvla.core.presets import load_preset
from pvla.datasets.features import FeatureStore, FeatureWriter
from pvla.datasets.store import Store
from pvla.train.encoders import load_encoders
from pvla.train.features import cache_features, episode_features


def add_episodes(data: Path, preset: str, names: list[str]) -> int:
    """Features of some episodes, on one thread; how many they were."""
    torch.set_num_threads(1)
    store, encoders = Store.open(data), load_encoders(load_preset(preset))
    with FeatureWriter(store.path, encoders.key) as writer:
        for name in names:
            writer.add(name, episode_features(store.episode(name), encoders.vision))
    return len(names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--workers", type=int, default=2)
    a = parser.parse_args()
    store, encoders = Store.open(a.data), load_encoders(load_preset(a.preset))
    missing = FeatureStore(store.path, encoders.key).missing(store)
    with ProcessPoolExecutor(a.workers, get_context("spawn")) as pool:
        jobs = [pool.submit(add_episodes, a.data, a.preset, missing[i :: a.workers]) for i in range(a.workers)]
        print(f"{sum(job.result() for job in jobs)} episodes computed, {len(store.info.episodes)} have features")
    cache_features(store, encoders)


if __name__ == "__main__":
    main()
