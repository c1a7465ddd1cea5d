"""Keep an encoder from making this process real-time.

SVT-AV1, when root runs it, gives the thread that opens it and all threads that it starts the policy SCHED_FIFO at
priority 99, and never takes that back (`pthread_setschedparam` where `geteuid() == 0`; seen with PyAV 18.1). Processes
started later inherit it: two that wait for each other by spinning then keep every core from all else, for hours.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_THREADS: Final = Path("/proc/self/task")


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """What the block does to this process's scheduling is undone: threads that it starts get the caller's policy.

    Where there is no `/proc` (macOS, Windows), SVT-AV1 changes nothing, and neither does this.
    """
    before = _policies()
    caller = before.get(threading.get_native_id())
    try:
        yield
    finally:
        for thread, policy in _policies().items():
            wanted = before.get(thread, caller or policy)
            if policy != wanted:
                _set(thread, *wanted)


def _policies() -> dict[int, tuple[int, int]]:
    """Thread to scheduling policy and its priority."""
    threads = map(int, os.listdir(_THREADS)) if _THREADS.is_dir() else ()
    return {thread: policy for thread in threads if (policy := _policy(thread))}


def _policy(thread: int) -> tuple[int, int] | None:
    try:
        return os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority
    except ProcessLookupError:  # it ended since it was listed
        return None


def _set(thread: int, policy: int, priority: int) -> None:
    try:
        os.sched_setscheduler(thread, policy, os.sched_param(priority))
    except ProcessLookupError:
        return
