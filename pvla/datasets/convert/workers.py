"""Converting episodes as a job for `pvla.datasets.pool`: the unit of work is a batch that is sealed as a shard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pvla.datasets.convert.prepare import Outcome, prepare
from pvla.datasets.convert.source import Choices, EpisodeRef, Finding, Source
from pvla.datasets.pool import Work
from pvla.datasets.schema import DatasetInfo
from pvla.datasets.store import Store
from pvla.datasets.writer import StoreWriter

SHARD_BYTES: Final = 64 << 20  # a worker's memory is a few times that: the episodes, and their shard as it is made
Refs = list[EpisodeRef]
Outcomes = list[Outcome]


@dataclass(frozen=True)
class ConversionJob:
    """What all batches of a conversion have in common.

    Attributes:
        out: the store, made already.
        info: what it declares.
        source: where the episodes come from.
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

    def start(self) -> Work[EpisodeRef, Outcomes]:
        """A converter of batches with a writer of its own."""
        return Converter(self).convert

    def give_up(self, item: EpisodeRef) -> Outcomes:
        """An episode that ends the process that reads it is damaged."""
        what = "reading it ended the process that read it"
        return [Outcome(item.id, item.source_id, 0, 0, findings=[Finding("damaged", item.source_id, what)])]

    def without_refs(self) -> ConversionJob:
        """A copy that is light to send: the list of a large source takes longer to pickle than a batch to convert."""
        return replace(self, source=replace(self.source, refs=[], findings=[]))


class Converter:
    """Converts batches of one job; each batch is sealed when `convert` returns."""

    def __init__(self, job: ConversionJob) -> None:
        self._job = job
        self._writer = StoreWriter(
            job.out,
            job.info,
            shard_prefix=job.prefix,
            episodes_per_shard=job.batch,
            shard_bytes=SHARD_BYTES,
            index_on_close=False,
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
