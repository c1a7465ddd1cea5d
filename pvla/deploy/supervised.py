"""An arm behind a thread of its own: calls have a time-out, and an arm that gets no commands is held, then damped."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pvla.deploy.hardware import Arm, ArmState, Array
from pvla.errors import RunFault


class ArmSilent(RunFault):
    """The arm did not answer in time, or its measurements stopped."""


@dataclass
class _Job:
    call: Callable[[], Any]
    answer: queue.SimpleQueue[tuple[Any, Exception | None]]


class SupervisedArm:
    """Runs every call to an arm on one daemon thread.

    A driver may hang in its own emergency path; the caller then gets `ArmSilent` instead of hanging too. The thread is
    also a deadman: once commands have started, it holds the arm when none came for `deadman` s, and damps it after as
    long again.

    Args:
        arm: the arm; only the thread touches it, but for `hold` and `damp` after a hang.
        timeout: longest time in s that a call may take.
        deadman: longest time in s between two commands.
    """

    def __init__(self, arm: Arm, timeout: float = 0.1, deadman: float = 0.5) -> None:
        self._arm = arm
        self._timeout = timeout
        self._deadman = deadman
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._armed = False
        self._tripped = threading.Event()
        self._hung = False
        threading.Thread(target=self._serve, name="arm", daemon=True).start()

    @property
    def tripped(self) -> bool:
        """Whether the deadman has held the arm."""
        return self._tripped.is_set()

    def read(self) -> ArmState:
        """The arm's newest measurement; ArmSilent when it does not answer in time."""
        state: ArmState = self._ask(self._arm.read)
        return state

    def command(self, q: Array, gripper: float) -> None:
        """Pass a command on; ArmSilent when the arm does not take it in time or the deadman has tripped."""
        if self.tripped:
            raise ArmSilent(f"The arm got no command for {self._deadman} s and was held: start the run again.")
        self._armed = True
        self._ask(lambda: self._arm.command(q, gripper))

    def hold(self) -> None:
        """Hold the arm, past a hung call if need be; ArmSilent when it does not answer in time."""
        self._armed = False
        self._urgent(self._arm.hold)

    def damp(self) -> None:
        """Damp the arm, past a hung call if need be; ArmSilent when it does not answer in time."""
        self._armed = False
        self._urgent(self._arm.damp)

    def close(self) -> None:
        """Close the arm and end the thread; ArmSilent when the arm does not answer in time."""
        self._armed = False
        try:
            self._urgent(self._arm.close)
        finally:
            self._jobs.put(None)

    def _ask(self, call: Callable[[], Any]) -> Any:
        if self._hung:
            raise ArmSilent("The arm's driver hangs: switch the arm off and on, and look at its cable.")
        job = _Job(call, queue.SimpleQueue())
        self._jobs.put(job)
        return self._await(job)

    def _urgent(self, call: Callable[[], Any]) -> None:
        if not self._hung:
            self._ask(call)
            return
        job = _Job(call, queue.SimpleQueue())
        threading.Thread(target=_do, args=(job,), name="arm-urgent", daemon=True).start()
        self._await(job)

    def _await(self, job: _Job) -> Any:
        try:
            value, error = job.answer.get(timeout=self._timeout)
        except queue.Empty:
            self._hung = True
            raise ArmSilent(f"The arm did not answer within {self._timeout} s: look at its cable and power.") from None
        if error is not None:
            raise error
        return value

    def _serve(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._deadman)
            except queue.Empty:
                self._watch()
                continue
            if job is None:
                return
            _do(job)

    def _watch(self) -> None:
        """No call came for the deadman's time: hold the arm first, damp it the next time."""
        if not self._armed:
            return
        stop = self._arm.damp if self.tripped else self._arm.hold
        self._armed = not self.tripped
        self._tripped.set()
        stop()


def _do(job: _Job) -> None:
    try:
        job.answer.put((job.call(), None))
    except Exception as error:
        job.answer.put((None, error))
