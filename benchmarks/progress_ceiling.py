"""How good could P be? An estimator that is told the scene's true state, trained on the same demonstrations.

Time passed cannot be seen exactly: pauses leave no trace, and disturbances still to come are not known. What an
estimator that need not look at pictures gets wrong on held-out demonstrations, no training of P can mend.

python benchmarks/progress_ceiling.py data/demo
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pvla.datasets.splits import Split, progress_labels, split_episodes
from pvla.datasets.store import Episode, Store
from pvla.score.curve import pearson

Floats = NDArray[np.float32]
WIDTH, BATCH, STEPS, LR, WEIGHT_DECAY = 256, 256, 3000, 1e-3, 1e-2


def demonstrations(store: Store, split: Split) -> list[Episode]:
    """Successes in which nothing went wrong: their label is time passed."""
    return [e for e in split_episodes(store, split) if e.success and not np.isfinite(e.extras["progress"]).any()]


def inputs(episode: Episode, tasks: list[str]) -> Floats:
    """The scene now, the scene at the start, the task: (T, 2 nq + tasks)."""
    scene = np.asarray(episode.extras["qpos"], np.float32)
    task = np.eye(len(tasks), dtype=np.float32)[tasks.index(str(episode.task))]
    return np.hstack([scene, np.tile(scene[:1], (len(scene), 1)), np.tile(task, (len(scene), 1))])


def train(x: Floats, label: Floats, noise: float) -> nn.Module:
    """A multilayer perceptron by L1 on standardised inputs with Gaussian noise of `noise` standard deviations."""
    shape = [x.shape[1], WIDTH, WIDTH, WIDTH]
    layers = [layer for a, b in pairwise(shape) for layer in (nn.Linear(a, b), nn.GELU())]
    net = nn.Sequential(*layers, nn.Linear(WIDTH, 1), nn.Sigmoid(), nn.Flatten(0))
    optimizer = torch.optim.AdamW(net.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    rows, target = torch.from_numpy(x), torch.from_numpy(label)
    for _ in range(STEPS):
        chosen = torch.randint(len(rows), (BATCH,))
        noisy = rows[chosen] + noise * torch.randn(BATCH, rows.shape[1])
        loss = (net(noisy) - target[chosen]).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.3, 0.6, 1.0], help="standard deviations")
    a = parser.parse_args()
    store = Store.open(a.dataset)
    tasks = [task.name for task in store.info.tasks]
    known, new = demonstrations(store, "train"), demonstrations(store, "held_out")
    x = np.concatenate([inputs(e, tasks) for e in known])
    label = np.concatenate([progress_labels(e) for e in known])
    mean, spread = x.mean(0), x.std(0) + 1e-3
    print(f"{len(known)} demonstrations; mean over {len(new)} held out:")
    for noise in a.noise:
        torch.manual_seed(0)
        net = train((x - mean) / spread, label, noise)
        with torch.no_grad():
            curves = [net(torch.from_numpy((inputs(e, tasks) - mean) / spread).clamp(-6, 6)).numpy() for e in new]
        errors = [np.abs(p - progress_labels(e)).mean() for p, e in zip(curves, new, strict=True)]
        fits = [pearson(p, progress_labels(e)) for p, e in zip(curves, new, strict=True)]
        print(f"  noise {noise:.1f}: L1 {np.mean(errors):.4f}, Pearson {np.mean(fits):.4f}", flush=True)


if __name__ == "__main__":
    main()
