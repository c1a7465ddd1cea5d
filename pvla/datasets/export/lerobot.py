"""The store as a LeRobot v3.0 dataset: many episodes in a file, pictures as video, all else to the bit.

What LeRobot has no place for is kept beside, in `meta/pvla`: `pvla.datasets.convert.lerobot` restores all of it, so
that an export read back is the store again, but for the loss of the video.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pvla.datasets.convert.lerobot.meta import INFO
from pvla.datasets.convert.lerobot.parquet import parquet
from pvla.datasets.convert.lerobot.side import DATASET, WORK
from pvla.datasets.export.lerobot_meta import write_meta
from pvla.datasets.export.lerobot_parts import Part, is_made, make, parts_of
from pvla.datasets.export.lerobot_plan import Plan
from pvla.datasets.files import dataset_lock, write_atomic
from pvla.datasets.pool import Work, in_processes, in_this_process
from pvla.datasets.store import Store
from pvla.errors import InputError, RunFault

_PLAN: Final = "plan.json"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LeRobotExport:
    """What an export has made: episodes, frames, and files of data and video."""

    path: Path
    episodes: int
    frames: int
    files: int


def export_lerobot(
    store_path: Path | str,
    out: Path | str,
    *,
    resume: bool = False,
    workers: int = 1,
    on_progress: Progress | None = None,
) -> LeRobotExport:
    """Write the dataset at `store_path` as a LeRobot v3.0 dataset.

    The files depend on the store alone, not on workers or interruptions. `meta/info.json` is written last: until then
    nobody takes `out` for a dataset.

    Args:
        store_path: the store's folder.
        out: the new dataset's folder, new or empty, unless `resume`.
        resume: go on with an export that was interrupted; one that is whole stays as it is.
        workers: processes; each makes one file at a time.
        on_progress: called with (files made, files in all).

    Raises:
        InputError: no dataset there, one without episodes or not whole, or damaged; pyarrow is not installed; or `out`
            holds something else.
        RunFault: a file cannot be written, or a worker died.
        KeyboardInterrupt: `resume` goes on.
    """
    parquet()
    out = Path(out)
    with Store.open(store_path) as store:
        plan = Plan.of(store)
        parts = parts_of(plan)
        _check_place(plan, out, resume)
        if not (out / INFO).exists():
            with dataset_lock(out / WORK):
                _make_all(parts, plan, out, workers, on_progress or (lambda done, total: None))
                write_meta(plan, store, out)
    shutil.rmtree(out / WORK, ignore_errors=True)
    return LeRobotExport(out, len(plan.entries), plan.frames, len(parts))


def _check_place(plan: Plan, out: Path, resume: bool) -> None:
    """See that `out` may be written to, and note there what is to be made."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, a LeRobot dataset is a folder: give another place.")
    there = {file.name for file in out.iterdir()} if out.exists() else set()
    if there and not resume:
        what = "holds an unfinished export: add --resume to go on with it, or" if WORK in there else "is not empty:"
        raise InputError(f"{out} {what} choose another folder.")
    if there and WORK not in there and _fingerprint(out / DATASET) != plan.fingerprint:
        raise InputError(f"{out} is not empty, and is no export of {plan.store}: choose another folder.")
    if not (out / INFO).exists():
        _join(plan, out)


def _join(plan: Plan, out: Path) -> None:
    try:
        (out / WORK).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be a dataset's folder: {error.strerror or error}.") from error
    note = out / WORK / _PLAN
    if not note.exists():
        write_atomic(note, json.dumps({"fingerprint": plan.fingerprint}).encode())
    elif _fingerprint(note) != plan.fingerprint:
        raise InputError(f"{out} was begun from another dataset, or {plan.store} has changed since: export it anew.")


def _fingerprint(file: Path) -> str:
    """Of which store a file says that it is an export; "" if it says nothing."""
    try:
        return str(json.loads(file.read_bytes())["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _make_all(parts: list[Part], plan: Plan, out: Path, workers: int, on_progress: Progress) -> None:
    todo = [part for part in parts if not is_made(part, plan, out)]
    done = len(parts) - len(todo)
    on_progress(done, len(parts))
    job, batches = _Job(plan, out), [[part] for part in todo]
    working = in_processes(job, batches, workers) if workers > 1 else in_this_process(job, batches)
    with closing(working) as made:
        for number in made:
            done += number
            on_progress(done, len(parts))


@dataclass(frozen=True)
class _Job:
    """Making parts, for `pvla.datasets.pool`; the result of a batch is how many."""

    plan: Plan
    out: Path

    def start(self) -> Work[Part, int]:
        """Makes the parts of a batch."""
        return self._make

    def give_up(self, item: Part) -> int:
        """An export cannot do without a part.

        Raises:
            RunFault: always.
        """
        raise RunFault(f"Making {item.file(self.plan)} ended the process that made it: is there memory enough?")

    def _make(self, parts: list[Part]) -> int:
        for part in parts:
            make(part, self.plan, self.out)
        return len(parts)
