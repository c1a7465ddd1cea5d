from __future__ import annotations

from pathlib import Path

import pytest
from record_makers import footage, trial

from pvla.deploy.bundle import Bundle
from pvla.errors import InputError
from pvla.evaluate.journal import FILE, Journal, Sitting
from pvla.evaluate.machine import Machine
from pvla.evaluate.protocol import Choices, Protocol, make_protocol


@pytest.fixture(scope="module")
def protocol(bundle: Bundle) -> Protocol:
    return make_protocol(bundle, Choices("main"))


def test_what_was_added_is_read_again(tmp_path: Path, protocol: Protocol) -> None:
    records = [trial("guided", 1, 30), footage(2, True)]
    with Journal(tmp_path / "e", protocol) as journal:
        journal.begin(Sitting(started="now", command="pvla", workers=2, machine=Machine.here()))
        for record in records:
            journal.add(record)
    with Journal(tmp_path / "e", protocol) as again:
        assert list(again.records.values()) == records
        assert [sitting.command for sitting in again.sittings] == ["pvla"]


def test_a_line_that_was_being_written_at_a_kill_is_forgotten(tmp_path: Path, protocol: Protocol) -> None:
    with Journal(tmp_path, protocol) as journal:
        journal.add(trial("guided", 1, 30))
        journal.add(trial("guided", 2, 30))
    file = tmp_path / FILE
    file.write_bytes(file.read_bytes()[:-20])
    with Journal(tmp_path, protocol) as again:
        assert set(again.records) == {"guided/pick_peach/1"}
        again.add(trial("guided", 2, 35))
    with Journal(tmp_path, protocol) as last:
        assert len(last.records) == 2


def test_killed_before_the_first_line_was_whole(tmp_path: Path, protocol: Protocol) -> None:
    (tmp_path / FILE).write_text('{"kind":"proto')
    with Journal(tmp_path, protocol) as journal:
        journal.add(trial("guided", 1, 30))
    with Journal(tmp_path, protocol) as again:
        assert len(again.records) == 1


def test_another_protocol_is_refused_by_what_differs(tmp_path: Path, bundle: Bundle, protocol: Protocol) -> None:
    Journal(tmp_path, protocol).__exit__(None, None, None)
    with pytest.raises(InputError, match=r"differs in episodes: give --out"):
        Journal(tmp_path, make_protocol(bundle, Choices("main", episodes=7)))


def test_damage_and_strangers_are_refused(tmp_path: Path, protocol: Protocol) -> None:
    Journal(tmp_path / "e", protocol).__exit__(None, None, None)
    with (tmp_path / "e" / FILE).open("a") as stream:
        stream.write("no json\n")
    with pytest.raises(InputError, match="line 2, is damaged"):
        Journal(tmp_path / "e", protocol)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "holiday.jpg").touch()
    with pytest.raises(InputError, match="something other"):
        Journal(tmp_path / "s", protocol)
