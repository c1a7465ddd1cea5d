"""Batches of episodes, converted in this process or by others, of which one may die of a file that brings HDF5 down."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Final

from pvla.datasets.convert.prepare import Outcome, prepare
from pvla.datasets.convert.source import Choices, EpisodeRef, Finding, Source
from pvla.datasets.schema import DatasetInfo
from pvla.datasets.store import Store
from pvla.datasets.writer import StoreWriter

_PARENT_CHECK_S: Final = 1.0
_AHEAD: Final = 2  # batches that wait in the pool beside those at work

Refs = list[EpisodeRef]
Outcomes = list[Outcome]


@dataclass(frozen=True)
class Job:
    """What all batches of a conversion have in common.

    Attributes:
        out: the store, made already.
        info: what it declares.
        source: where the episodes come from, without its list of them.
        choices: the user's.
        prefix: of the shards' names.
        batch: episodes a shard.
    """

    out: Path
    info: DatasetInfo
    source: Source
    choices: Choices
    prefix: str
    batch: int

    def without_refs(self) -> Job:
        """A copy that is light to send: the list of a large source takes longer to pickle than a batch to convert."""
        return replace(self, source=replace(self.source, refs=[], findings=[]))


class Converter:
    """Converts batches of one job in this process; each batch is sealed when `convert` returns."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._writer = StoreWriter(
            job.out, job.info, shard_prefix=job.prefix, episodes_per_shard=job.batch, index_on_close=False
        )

    def convert(self, refs: Refs) -> Outcomes:
        """Read, check and seal these episodes; one that is sealed already is not made again.

        Raises:
            RunFault: a shard cannot be written.
        """
        outcomes = [self._one(ref) for ref in refs]
        self._writer.flush()
        return outcomes

    def _one(self, ref: EpisodeRef) -> Outcome:
        if ref.id in self._writer.ids:
            with Store.open(self._job.out) as store:
                return Outcome.from_text(store.episode(ref.id).notes)
        episode, outcome = prepare(self._job.source, ref, self._job.choices)
        if episode is not None:
            self._writer.add(episode)
        return outcome


def in_this_process(job: Job, batches: Iterable[Refs]) -> Generator[Outcomes, None, None]:
    """Convert the batches here, one after the other."""
    converter = Converter(job)
    for refs in batches:
        yield converter.convert(refs)


def in_processes(job: Job, batches: Iterable[Refs], workers: int) -> Generator[Outcomes, None, None]:
    """Convert the batches in as many processes, in any order.

    A process that dies takes the batches at work with it: their episodes are then tried one by one, and only those that
    kill their process again are given up.
    """
    job, queue = job.without_refs(), deque(batches)
    suspects: list[Refs] = []
    while queue:
        yield from _round(job, queue, suspects, workers)
    for ref in [ref for refs in suspects for ref in refs]:
        yield _alone(job, ref)


def _round(job: Job, queue: deque[Refs], suspects: list[Refs], workers: int) -> Generator[Outcomes, None, None]:
    """Work on the queue until it is empty, or until a process dies: then what was at work is added to the suspects."""
    pool = _pool(job, workers)
    at_work: dict[Future[Outcomes], Refs] = {}
    try:
        while queue or at_work:
            while queue and len(at_work) < workers + _AHEAD:
                at_work[pool.submit(_convert, queue[0])] = queue[0]
                queue.popleft()
            for future in wait(at_work, return_when=FIRST_COMPLETED).done:
                outcomes = future.result()
                del at_work[future]
                yield outcomes
    except BrokenProcessPool:
        suspects.extend(at_work.values())
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(job: Job, ref: EpisodeRef) -> Outcomes:
    pool = _pool(job, 1)
    try:
        return pool.submit(_convert, [ref]).result()
    except BrokenProcessPool:
        what = "reading it ended the process that read it"
        return [Outcome(ref.id, ref.source_id, 0, 0, findings=[Finding("damaged", ref.source_id, what)])]
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(job: Job, workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(job,))


_jobs: list[Job] = []
"""The job of this worker process: a pool's initializer has no other way to leave something for its tasks."""


def _start(job: Job) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    _jobs.append(job)


def _convert(refs: Refs) -> Outcomes:
    return _converter().convert(refs)


@cache
def _converter() -> Converter:
    # At the first batch, not in the initializer: what an initializer raises reaches nobody.
    return Converter(_jobs[0])


def _end_with(parent: int) -> None:
    """A worker whose parent was killed would wait for work for ever."""
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_S)
    os._exit(1)
