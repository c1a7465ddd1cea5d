"""The journal of an evaluation: a file of lines that grows by one with each finished job, whatever happens next."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import BaseModel

from pvla.errors import InputError
from pvla.evaluate.machine import Machine
from pvla.evaluate.protocol import Protocol
from pvla.evaluate.records import RECORD, Record

FILE = "trials.jsonl"


class Sitting(BaseModel):
    """One stretch of work on an evaluation: when it began, where, how."""

    kind: str = "sitting"
    started: str
    command: str
    workers: int
    machine: Machine


class Journal:
    """What is done of an evaluation; a context manager, open for appending.

    Args:
        folder: of the evaluation; made if it is not there.
        protocol: of the evaluation.

    Raises:
        InputError: the folder holds something else, or the journal of another protocol.

    Attributes:
        records: by their key.
        sittings: all so far.
    """

    def __init__(self, folder: Path, protocol: Protocol) -> None:
        self.folder, self._protocol = folder, protocol
        self.records: dict[str, Record] = {}
        self.sittings: list[Sitting] = []
        _make(folder)
        self._file = folder / FILE
        if self._file.exists():
            self._read()
        self._stream = self._file.open("a", encoding="utf-8")
        if self._stream.tell() == 0:
            self._append({"kind": "protocol", **protocol.model_dump(mode="json")})

    def begin(self, sitting: Sitting) -> None:
        """Note that work begins."""
        self.sittings.append(sitting)
        self._append(sitting.model_dump(mode="json"))

    def add(self, record: Record) -> None:
        """Note that a job is done."""
        self.records[record.key] = record
        self._append(record.model_dump(mode="json"))

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def _append(self, document: dict[str, Any]) -> None:
        self._stream.write(json.dumps(document, separators=(",", ":")) + "\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def _read(self) -> None:
        self._drop_broken_line()
        documents = self._documents()
        if not documents:
            return
        self._check_protocol(documents[0])
        for document in documents[1:]:
            if document.get("kind") == "sitting":
                self.sittings.append(Sitting.model_validate(document))
            else:
                record = RECORD.validate_python(document)
                self.records[record.key] = record

    def _drop_broken_line(self) -> None:
        """A line without its end was being written when the process was killed: its job is done again."""
        data = self._file.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with self._file.open("r+b") as stream:
                stream.truncate(whole)

    def _documents(self) -> list[dict[str, Any]]:
        lines = self._file.read_text(encoding="utf-8").splitlines()
        return [self._parse(number, line) for number, line in enumerate(lines, start=1)]

    def _parse(self, number: int, line: str) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise InputError(f"{self._file}, line {number}, is damaged: give --out another folder.") from error
        return document

    def _check_protocol(self, document: dict[str, Any]) -> None:
        there = {key: value for key, value in document.items() if key != "kind"}
        wanted = self._protocol.model_dump(mode="json")
        differing = [key for key in {**wanted, **there} if wanted.get(key) != there.get(key)]
        if differing:
            raise InputError(
                f"{self.folder} holds an evaluation that differs in {', '.join(differing)}: give --out another folder."
            )


def _make(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / FILE).is_file():
        raise InputError(f"{folder} holds something other than an evaluation: give --out a new folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {error.strerror or error}.") from error
