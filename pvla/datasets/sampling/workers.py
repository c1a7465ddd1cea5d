"""Processes that make batches ahead of time.

A batch reaches this process in memory of its own, made by the worker and handed over as a file descriptor (memfd): the
pictures are never pickled, nor copied, nor overwritten by a later batch, and the memory goes with the last array over
it. It has no name and does not lie in /dev/shm, so nothing is left behind after a kill, and containers that make that
folder small do not matter.

Each worker waits for requests on a socket of which this process alone has the other end: when this process dies, in
whatever way, the socket closes and the worker ends, at most one batch later.
"""

from __future__ import annotations

import contextlib
import mmap
import multiprocessing
import os
import signal
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Final

from pvla.datasets.sampling.batch import Batch, nbytes, views
from pvla.datasets.sampling.draws import Draws
from pvla.errors import PvlaError, RunFault

_END_S: Final = 5.0
_HANG_UP: Final = (EOFError, ConnectionError)


class Workers:
    """Workers that make the batches of steps `first`, `first + 1`, …, in order.

    Worker i of n makes every n-th batch; each has up to `ahead` batches ordered, so that up to n · ahead lie in memory.
    """

    def __init__(self, draws: Draws, first: int, count: int, ahead: int, until: int | None) -> None:
        self._draws, self._next, self._ordered, self._until = draws, first, first, until
        self._workers = [_Worker(draws) for _ in range(count)]
        for _ in range(count * ahead):
            self._order()

    def __iter__(self) -> Iterator[Batch]:
        """The batches.

        Raises:
            InputError: an episode is damaged.
            RunFault: a worker died.
        """
        while self._next < self._ordered:
            batch = self._of(self._next).batch(self._next, self._draws)
            self._next += 1
            self._order()
            yield batch

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.hang_up()
        for worker in self._workers:
            worker.end()

    def _order(self) -> None:
        if self._until is None or self._ordered < self._until:
            self._of(self._ordered).order(self._ordered)
            self._ordered += 1

    def _of(self, step: int) -> _Worker:
        return self._workers[step % len(self._workers)]


class _Worker:
    """One worker, seen from the process that started it."""

    def __init__(self, draws: Draws) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, draws), daemon=True)
        self._process.start()
        theirs.close()

    def order(self, step: int) -> None:
        with contextlib.suppress(ConnectionError):  # a dead worker is noticed when its batch is awaited
            self._connection.send(step)

    def batch(self, step: int, draws: Draws) -> Batch:
        try:
            answer = self._connection.recv()
            if isinstance(answer, Exception):
                raise answer
            instruction, dataset, episode = answer
            arrays = views(draws.layout, self._memory(nbytes(draws.layout)))
            return Batch(step, instruction, dataset, episode, arrays)
        except _HANG_UP as error:
            raise self._fault(step, draws) from error

    def hang_up(self) -> None:
        self._connection.close()

    def end(self) -> None:
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def _memory(self, size: int) -> mmap.mmap:
        handle = recv_handle(self._connection)
        try:
            return mmap.mmap(handle, size)
        finally:
            os.close(handle)

    def _fault(self, step: int, draws: Draws) -> RunFault:
        self._process.join(_END_S)
        code = self._process.exitcode
        how = f"was killed by {signal.Signals(-code).name}" if code and code < 0 else f"ended with exit code {code}"
        return RunFault(
            f"The worker that made batch {step} {how}; is there memory enough, is a file damaged? "
            f"Go on from seed {draws.sampling.seed} and step {step}, with fewer workers if memory ran out."
        )


def _work(connection: Connection, draws: Draws) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who asked for batches decides
    with contextlib.suppress(*_HANG_UP):
        while True:
            _answer(connection, draws, connection.recv())


def _answer(connection: Connection, draws: Draws, step: int) -> None:
    size = nbytes(draws.layout)
    handle = os.memfd_create(f"pvla-batch-{step}")
    try:
        os.ftruncate(handle, size)
        batch = draws.fill(step, views(draws.layout, mmap.mmap(handle, size)))
    except Exception as error:
        connection.send(error if isinstance(error, PvlaError) else _Defect(traceback.format_exc()))
        return
    else:
        connection.send((batch.instruction, batch.dataset, batch.episode))
        send_handle(connection, handle, os.getppid())
    finally:
        os.close(handle)


class _Defect(RuntimeError):
    """What a worker raised and should not have, with its traceback."""
