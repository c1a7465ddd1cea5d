"""Batches for a training loop: in order, made ahead of time by workers, and to be gone on with exactly after a kill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing

from pvla.datasets.sampling.batch import Batch
from pvla.datasets.sampling.draws import Draws, every
from pvla.datasets.sampling.workers import Workers
from pvla.errors import InputError


class Batches:
    """The batches of consecutive steps.

    What comes does not depend on the number of workers, nor on interruptions: `state()` is all that a checkpoint needs,
    and `Batches.resume` goes on with the very next batch, byte for byte.

    A program that uses workers needs `if __name__ == "__main__":` around what it does: they are started by spawn.

    Args:
        draws: makes the batch of a step.
        step: the first.
        until: the step to end before, None: never.
        workers: processes; 0 makes batches in this one, when they are asked for.
        ahead: batches that each worker has on order; up to workers · ahead lie in memory.
    """

    def __init__(
        self, draws: Draws, *, step: int = 0, until: int | None = None, workers: int = 0, ahead: int = 2
    ) -> None:
        for name, value, least in (("step", step, 0), ("workers", workers, 0), ("ahead", ahead, 1)):
            if value < least:
                raise InputError(f"There are no batches with {name} {value}: give {least} or more.")
        self.draws = draws
        self.step = step
        self.until = until
        self._workers, self._ahead = workers, ahead

    @classmethod
    def resume(
        cls, draws: Draws, state: Mapping[str, int], *, until: int | None = None, workers: int = 0, ahead: int = 2
    ) -> Batches:
        """Go on where `state()` was taken.

        Raises:
            InputError: the state is none, or was taken with another seed.
        """
        try:
            seed, step = int(state["seed"]), int(state["step"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"A data position is a seed and a step, not {state!r}.") from error
        if seed != draws.sampling.seed:
            raise InputError(f"The data position has seed {seed}, the draws have {draws.sampling.seed}: give the same.")
        return cls(draws, step=step, until=until, workers=workers, ahead=ahead)

    def state(self) -> dict[str, int]:
        """The data position, for a checkpoint: the seed, and the step of the batch that comes next."""
        return {"seed": self.draws.sampling.seed, "step": self.step}

    def __iter__(self) -> Iterator[Batch]:
        """The batches from `step` on; when the loop is left, however, the workers end.

        Raises:
            InputError: an episode is damaged.
            RunFault: a worker died.
        """
        if not self._workers:
            yield from self._counted(every(self.draws, self.step, self.until))
            return
        with closing(Workers(self.draws, self.step, self._workers, self._ahead, self.until)) as workers:
            yield from self._counted(iter(workers))

    def _counted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            self.step = batch.step + 1
            yield batch
