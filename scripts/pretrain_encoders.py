"""Pre-train the vision and text encoders of preset `tiny` on a simulated dataset.

python scripts/pretrain_encoders.py data/demo --out pvla/assets/demo/checkpoints
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from pvla.core.presets import load_preset
from pvla.datasets.store import Store
from pvla.train.pretrain import pretrain_text, pretrain_vision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--only", choices=["vision", "text"])
    parser.add_argument("--vision-steps", type=int, default=2000)
    parser.add_argument("--text-steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    preset, store, began = load_preset(a.preset), Store.open(a.data), time.monotonic()

    def report(what: str, step: int, steps: int, metrics: dict[str, float]) -> None:
        if step % 50 == 0 or step == steps:
            seconds = round(time.monotonic() - began, 1)
            print(json.dumps({"encoder": what, "step": step, "of": steps, "seconds": seconds, **metrics}), flush=True)

    if a.only != "vision":
        pretrain_text(preset, store, a.out, a.text_steps, 64, a.seed, report)
    if a.only != "text":
        pretrain_vision(preset, store, a.out, a.vision_steps, a.batch, a.seed, report)


if __name__ == "__main__":
    main()
