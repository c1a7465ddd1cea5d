"""Inference beside the control loop: one request at a time, on a thread of its own, never waited for."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pvla.deploy.policy import Observation, Plan, Policy


@dataclass(frozen=True, eq=False)
class Request:
    """An observation to look at: number of its frame, steps consumed before it, and whether a plan is wanted."""

    observation: Observation
    frame: int
    step: int
    wants_plan: bool


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a request: progress and plan (None where not wanted or failed), seconds it took, error if any."""

    request: Request
    progress: float | None = None
    plan: Plan | None = None
    seconds: float = 0.0
    error: Exception | None = None


class Planner(Protocol):
    """What the control loop needs of inference."""

    def warm_up(self, instruction: str, observation: Observation) -> None:
        """Begin an episode, and run everything once: first calls are slow. May take seconds."""
        ...

    def answer_now(self, request: Request) -> Answer:
        """Answer a request at once; only before the arm moves."""
        ...

    def submit(self, request: Request) -> None:
        """Take a request; only when not `busy`. Returns at once."""
        ...

    def poll(self) -> Answer | None:
        """An answer that is ready, else None. Returns at once."""
        ...

    @property
    def busy(self) -> bool:
        """Whether a request is being worked on."""
        ...

    def close(self) -> None:
        """End the thread after the request it works on."""
        ...


class InferenceThread:
    """A `Planner` over a policy.

    Args:
        policy: used by the thread alone once requests are submitted.
        rng: gives the noise of every plan.
    """

    def __init__(self, policy: Policy, rng: np.random.Generator) -> None:
        self._policy = policy
        self._rng = rng
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._busy = False
        self._thread = threading.Thread(target=self._serve, name="inference", daemon=True)
        self._thread.start()

    def warm_up(self, instruction: str, observation: Observation) -> None:
        """Begin an episode and run every graph once; the noise of the run is not touched."""
        self._policy.reset(instruction, observation)
        self._policy.progress(observation)
        self._policy.plan(observation, np.random.default_rng(0))

    def answer_now(self, request: Request) -> Answer:
        """Answer a request on the caller's thread; errors are raised."""
        answer = self._work(request)
        if answer.error is not None:
            raise answer.error
        return answer

    def submit(self, request: Request) -> None:
        """Hand a request to the thread."""
        self._busy = True
        self._requests.put(request)

    def poll(self) -> Answer | None:
        """The answer, if it is ready."""
        return self._take(0.0)

    @property
    def busy(self) -> bool:
        """Whether a request was submitted and its answer not yet taken."""
        return self._busy

    def close(self, timeout: float = 2.0) -> None:
        """End the thread; one that hangs is left behind as a daemon."""
        self._requests.put(None)
        self._thread.join(timeout)

    def _take(self, timeout: float) -> Answer | None:
        """The answer, if it is ready within `timeout` s."""
        try:
            answer = self._answers.get(block=timeout > 0, timeout=timeout)
        except queue.Empty:
            return None
        self._busy = False
        return answer

    def _serve(self) -> None:
        while (request := self._requests.get()) is not None:
            self._answers.put(self._work(request))

    def _work(self, request: Request) -> Answer:
        start = time.perf_counter()
        progress: float | None = None
        try:
            progress = self._policy.progress(request.observation)
            plan = self._policy.plan(request.observation, self._rng) if request.wants_plan else None
        except Exception as error:
            # A defect must end the run in a defined state too; the loop raises it after the arm has come to rest.
            return Answer(request, progress, None, time.perf_counter() - start, error)
        return Answer(request, progress, plan, time.perf_counter() - start)


class PatientInference(InferenceThread):
    """Inference that the simulated robot waits for: nothing moves there between two commands.

    So a run takes the same course on every machine, that of `pvla.deploy.rollout`; on one that is too slow or too busy,
    commands go out late and count as missed ticks, but the policy is not made worse by it.

    Args:
        policy: used by the thread alone once requests are submitted.
        rng: gives the noise of every plan.
        patience: longest wait in s; after it the loop goes on without an answer.
    """

    def __init__(self, policy: Policy, rng: np.random.Generator, patience: float) -> None:
        super().__init__(policy, rng)
        self._patience = patience

    def poll(self) -> Answer | None:
        """The answer to the last request, waited for; None when there is no request or patience is at its end."""
        return self._take(self._patience) if self.busy else None
