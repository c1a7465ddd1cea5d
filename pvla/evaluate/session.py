"""One evaluation from the user's choices to a folder: plan, trials, figures, films."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from pvla.deploy.bundle import Bundle
from pvla.errors import InputError
from pvla.evaluate.films import chosen_trials, write_film
from pvla.evaluate.journal import Journal, Sitting
from pvla.evaluate.laboratory import Laboratory
from pvla.evaluate.machine import Machine
from pvla.evaluate.protocol import Choices, Trial, make_protocol, plan
from pvla.evaluate.records import Record
from pvla.evaluate.results import Results
from pvla.evaluate.runner import run_jobs
from pvla.evaluate.tables import to_markdown

RUNS = Path("runs")
MARKDOWN = "results.md"


class Evaluation:
    """An evaluation. Making one checks every input; `run` works, and goes on where an earlier one stopped.

    Args:
        bundle: the policy.
        choices: what the user asked for.
        out: folder; by default one whose name stands for the protocol, so that the same command goes on.
        workers: processes.

    Raises:
        InputError: a choice is not possible, the bundle does not fit, or the folder holds something else.

    Attributes:
        jobs: all jobs of the protocol.
        finished: how many of them were done by earlier work.
    """

    def __init__(self, bundle: Bundle, choices: Choices, out: Path | None, workers: int) -> None:
        if workers < 1:
            raise InputError("It takes at least one worker.")
        self.bundle, self.workers = bundle, workers
        self.protocol = make_protocol(bundle, choices)
        self._laboratory = Laboratory(self.protocol, bundle)
        self.jobs = plan(self.protocol)
        self.folder = out or RUNS / f"eval-{self.protocol.name}"
        with Journal(self.folder, self.protocol) as journal:
            self.finished = len(journal.records)

    def run(self, command: str) -> Iterator[Record]:
        """Do what is left, and give each record once it is safely on the disk.

        Args:
            command: the command line, to be kept with the results.

        Raises:
            RunFault: a worker died, the policy failed, or the disk is full; what is finished is kept.
        """
        with Journal(self.folder, self.protocol) as journal:
            left = [job for job in self.jobs if job.key not in journal.records]
            if not left:
                return
            started = datetime.now().astimezone().isoformat(timespec="seconds")
            journal.begin(Sitting(started=started, command=command, workers=self.workers, machine=Machine.here()))
            with closing(run_jobs(left, self.protocol, self.bundle, self.workers)) as records:
                for record in records:
                    journal.add(record)
                    yield record

    def results(self) -> Results:
        """The figures of all that is done."""
        with Journal(self.folder, self.protocol) as journal:
            keys = {job.key for job in self.jobs}
            records = [record for key, record in journal.records.items() if key in keys]
            return Results.of(records, self.protocol, journal.sittings, len(self.jobs))

    def write(self, results: Results) -> dict[str, Any]:
        """Write results.json and results.md; returns the content of the former.

        Raises:
            RunFault: the disk is full or refuses.
        """
        document = results.write(self.folder)
        (self.folder / MARKDOWN).write_text(to_markdown(results), encoding="utf-8")
        return document

    def films(self, count: int) -> list[Trial]:
        """The trials to be filmed."""
        return chosen_trials(self.jobs, count)

    def film(self, trial: Trial, on_picture: Callable[[], None] = lambda: None) -> Path:
        """Write the film of a trial, unless it is there; returns its file."""
        file = self.folder / f"{trial.key.replace('/', '-')}.mp4"
        if not file.exists():
            write_film(file, trial, self._laboratory, self.protocol, on_picture)
        return file
