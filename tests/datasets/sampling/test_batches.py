from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
import pytest

from pvla.datasets.sampling.augment import Augmentation
from pvla.datasets.sampling.batch import Batch
from pvla.datasets.sampling.batches import Batches
from pvla.datasets.sampling.draws import Draws, Sampling
from pvla.errors import InputError, RunFault

SMALL = Sampling(cameras=("scene", "wrist"), batch=4, gap_s=0.4, size=24, augmentation=Augmentation(), seed=5)


def content(batch: Batch) -> tuple[object, ...]:
    return (
        batch.step,
        batch.instruction,
        batch.dataset,
        batch.episode,
        {k: v.tobytes() for k, v in batch.arrays.items()},
    )


def test_workers_make_what_one_process_makes_in_order(make) -> None:
    draws = Draws([make("a"), make("b", width=5)], SMALL, (0.3, 0.7))
    alone = [content(batch) for batch in Batches(draws, step=3, until=10)]
    together = [content(batch) for batch in Batches(draws, step=3, until=10, workers=2)]
    assert [step for step, *_ in alone] == list(range(3, 10))
    assert together == alone


@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_batches_are_the_same_byte_for_byte(make, workers: int) -> None:
    store = make()
    whole = [content(batch) for batch in Batches(Draws([store], SMALL), until=6)]
    first = Batches(Draws([store], SMALL), workers=workers)
    seen = [content(batch) for batch in islice(first, 2)]
    state = first.state()
    assert state == {"seed": 5, "step": 2}
    rest = Batches.resume(Draws([store], SMALL), state, until=6, workers=workers)
    assert seen + [content(batch) for batch in rest] == whole


def test_a_batch_that_is_kept_is_not_overwritten(make) -> None:
    draws = Draws([make()], SMALL)
    kept = list(Batches(draws, until=8, workers=1, ahead=1))
    assert [content(batch) for batch in kept] == [content(draws(step)) for step in range(8)]
    kept[0]["now"][:] = 0
    assert kept[1]["now"].any()


def test_workers_end_when_the_loop_is_left(make) -> None:
    batches = iter(Batches(Draws([make()], SMALL), workers=2))
    next(batches)
    before = children()
    assert len(before) >= 2
    batches.close()  # type: ignore[attr-defined]
    assert not any(alive(pid) for pid in before)


def test_a_damaged_episode_is_one_clear_sentence(make) -> None:
    store = make(lengths=(5,))
    with h5py.File(next((store.path / "shards").glob("*.h5")), "r+") as file:
        frames = file["e000/images/wrist"]
        frames[0] = np.asarray(frames[0])[:300]
    with pytest.raises(InputError, match="Episode e000: frame 0 of camera wrist cannot be decoded"):
        next(iter(Batches(Draws([store], SMALL), workers=1)))


def test_a_dead_worker_is_one_clear_sentence(make) -> None:
    batches = iter(Batches(Draws([make()], SMALL), workers=1, ahead=1))
    assert next(batches).step == 0
    (worker,) = children()
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(RunFault, match=r"^The worker that made batch \d was killed by SIGKILL; .* seed 5 and step \d"):
        for _ in batches:
            pass


def test_a_defect_in_a_worker_shows_its_traceback(make) -> None:
    draws = Draws([make()], SMALL)
    draws.probabilities = None  # type: ignore[assignment]
    draws.parts = []
    with pytest.raises(RuntimeError, match=r"(?s)^Traceback.*in samples"):
        next(iter(Batches(draws, workers=1)))


LOOP = """
import sys
from pvla.datasets.sampling.batches import Batches
from pvla.datasets.sampling.draws import Draws, Sampling
from pvla.datasets.store import Store

if __name__ == "__main__":
    draws = Draws([Store.open(sys.argv[1])], Sampling(cameras=("scene",), batch=4, size=24))
    for batch in Batches(draws, workers=2):
        print(batch.step, flush=True)
        sys.stdin.readline()
"""


def test_no_worker_outlives_a_killed_parent(make, tmp_path: Path) -> None:
    program = tmp_path / "loop.py"
    program.write_text(LOOP)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, str(program), str(make().path)], **pipes) as parent:
        assert parent.stdout.readline() == b"0\n"
        workers = children(parent.pid)
        assert len(workers) >= 2
        parent.kill()
    deadline = time.monotonic() + 30
    while any(alive(pid) for pid in workers):
        assert time.monotonic() < deadline, "workers are still there"
        time.sleep(0.1)


@pytest.mark.parametrize("state", [{}, {"seed": 5}, {"seed": "x", "step": 1}, {"seed": 4, "step": 1}])
def test_a_position_of_something_else_is_refused(make, state: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"data position"):
        Batches.resume(Draws([make()], SMALL), state)


def test_numbers_that_make_no_sense_are_refused(make) -> None:
    draws = Draws([make()], SMALL)
    for settings in ({"step": -1}, {"workers": -1}, {"ahead": 0}):
        with pytest.raises(InputError, match="no batches with"):
            Batches(draws, **settings)


def children(parent: int | None = None) -> list[int]:
    """Worker processes of a process, this one by default."""
    parent = parent or os.getpid()
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in listed if b"spawn_main" in command(int(pid))]


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not waited for has no command line."""
    return b"spawn_main" in command(pid)
