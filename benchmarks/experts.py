"""How often the scripted experts do their tasks, on scenes that no dataset and no evaluation has.

python benchmarks/experts.py --scenes 60
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from pvla.evaluate.statistics import wilson
from pvla.sim.demos import recording_env
from pvla.sim.instructions import TASKS
from pvla.sim.rollout import demonstrate

FIRST_SCENE = 3_000_000


def run(task: str, seed: int, noise: bool) -> tuple[bool, int]:
    """Whether the expert did the task, and in how many steps."""
    rollout = demonstrate(recording_env(task), seed, noise)
    return rollout.success, len(rollout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=60, help="for each task")
    parser.add_argument("--workers", type=int, default=2)
    a = parser.parse_args()
    seeds = range(FIRST_SCENE, FIRST_SCENE + a.scenes)
    with ProcessPoolExecutor(a.workers, get_context("spawn")) as pool:
        for noise in (False, True):
            print("as in demonstrations: disturbed, with pauses" if noise else "undisturbed")
            for task in TASKS:
                runs = list(pool.map(run, [task] * a.scenes, seeds, [noise] * a.scenes))
                share = wilson(sum(done for done, _ in runs), len(runs))
                steps = [n for done, n in runs if done]
                print(
                    f"  {task:16} {share.count} scenes, {share.value:.1%} [{share.low:.1%}, {share.high:.1%}], "
                    f"{sum(steps) / max(len(steps), 1):.0f} steps"
                )


if __name__ == "__main__":
    main()
