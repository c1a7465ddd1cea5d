from __future__ import annotations

import json

import pytest

from pvla.cli.console import Terminal


def test_results_go_to_stdout_and_notes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.note("working")
    terminal.detail("unasked")
    terminal.result({"x": 1}, lambda console: console.print("the answer"))
    printed = capsys.readouterr()
    assert printed.out == "the answer\n"
    assert printed.err == "working\n"


def test_json_replaces_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(as_json=True, quiet=True).result({"x": 1}, lambda console: console.print("the answer"))
    assert json.loads(capsys.readouterr().out) == {"x": 1}


def test_quiet_silences_notes_and_verbose_adds_details(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(quiet=True, verbose=True).note("working")
    Terminal(verbose=True).detail("more")
    assert capsys.readouterr().err == "more\n"


def test_verbose_prints_all_of_a_list() -> None:
    assert [0, 1, 2][: Terminal().most(2)] == [0, 1]
    assert [0, 1, 2][: Terminal(verbose=True).most(2)] == [0, 1, 2]
