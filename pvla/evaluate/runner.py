"""Runs the jobs of an evaluation in processes of one thread each; nothing that is finished gets lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from pvla.deploy.bundle import Bundle
from pvla.errors import RunFault
from pvla.evaluate.laboratory import Laboratory
from pvla.evaluate.protocol import Job, Protocol
from pvla.evaluate.records import Record


def run_jobs(jobs: Sequence[Job], protocol: Protocol, bundle: Bundle, workers: int) -> Generator[Record, None, None]:
    """The records of jobs as they are finished, in no particular order.

    Closing the iterator, or an exception in its consumer (Ctrl-C), ends the workers within a step of simulation.

    Args:
        jobs: to be done.
        protocol: of the evaluation.
        bundle: verified here; the workers verify it again.
        workers: processes; 1 works in this one.

    Raises:
        RunFault: a worker died, or the policy failed.
        InputError: the bundle does not fit the protocol.
    """
    if workers == 1 or len(jobs) < 2:
        laboratory = Laboratory(protocol, bundle)
        yield from map(laboratory.run, jobs)
    else:
        yield from _run_in_processes(jobs, protocol, bundle.path, min(workers, len(jobs)))


def _run_in_processes(
    jobs: Sequence[Job], protocol: Protocol, bundle: Path, workers: int
) -> Generator[Record, None, None]:
    # Forked processes would inherit the locks of onnxruntime's threads.
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(workers, context, _prepare, (protocol, bundle, stop))
    try:
        for future in as_completed([pool.submit(_work, job) for job in jobs]):
            yield future.result()
    except BrokenProcessPool as error:
        raise RunFault("An evaluating process died (out of memory?): the same command goes on from here.") from error
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


_worker: tuple[Laboratory, Any] | None = None
"""A worker process's laboratory and stop event."""


def _prepare(protocol: Protocol, bundle: Path, stop: Any) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops the workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = (Laboratory(protocol, Bundle.load(bundle)), stop)


def _end_with_parent() -> None:
    """A parent that is killed cannot stop its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(job: Job) -> Record:
    if _worker is None:
        raise RuntimeError("the worker was not prepared")
    laboratory, stop = _worker
    return laboratory.run(job, stop.is_set)
