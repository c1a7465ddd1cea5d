"""How far off a grasp may be: experts that grasp too high, and do not look, on scenes that nothing else uses.

python benchmarks/grasps.py --scenes 10
"""

from __future__ import annotations

import argparse

import numpy as np

from pvla.sim.demos import recording_env
from pvla.sim.expert import Expert
from pvla.sim.instructions import TASKS

FIRST_SCENE = 3_100_000
STEPS = 120
SPEED = 0.018


def does_it(task: str, seed: int, height: float) -> bool:
    """Whether an expert that grasps `height` metres too high, and never tries again, does the task."""
    env = recording_env(task)
    env.reset(seed=seed)
    rng, error = np.random.default_rng(seed), np.array([0.0, 0.0, height])
    expert = Expert(env, rng, speed=SPEED, grasp_error=error, watchful=False)
    for _ in range(STEPS):
        env.step(expert.act())
        if env.success:
            return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=10, help="for each task and height")
    parser.add_argument("--heights", type=float, nargs="+", default=[0, 4, 8, 12, 16], help="mm too high")
    parser.add_argument("--tasks", nargs="+", default=[task for task in TASKS if task != "open_drawer"], choices=TASKS)
    a = parser.parse_args()
    seeds = range(FIRST_SCENE, FIRST_SCENE + a.scenes)
    print(f"done of {a.scenes} scenes, by mm too high: {'  '.join(f'{mm:g}' for mm in a.heights)}")
    for task in a.tasks:
        done = [sum(does_it(task, seed, mm / 1000) for seed in seeds) for mm in a.heights]
        print(f"  {task:15s}  {'  '.join(str(n) for n in done)}", flush=True)


if __name__ == "__main__":
    main()
