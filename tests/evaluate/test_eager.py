from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from pvla.errors import RunFault
from pvla.evaluate import eager
from pvla.evaluate.eager import EagerProcess


@pytest.fixture(autouse=True)
def beside_the_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    monkeypatch.setattr(eager, "find_spec", lambda name: importlib.util.find_spec("sys"))


def test_each_request_is_timed_there() -> None:
    with EagerProcess(Path("bundle"), "fake_eager") as process:
        assert process.names == ["vision", "sampler_plain"]
        assert not process.missing
        assert (process.case("vision")(), process.case("sampler_plain")()) == (0.25, 0.5)


@pytest.mark.parametrize(("bundle", "why"), [("broken", "checkpoints are gone"), ("silent", "ended at once")])
def test_what_is_missing_is_said(bundle: str, why: str) -> None:
    with EagerProcess(Path(bundle), "fake_eager") as process:
        assert process.names == []
        assert why in process.missing


def test_a_process_that_dies_is_a_fault() -> None:
    with EagerProcess(Path("bundle"), "fake_eager") as process, pytest.raises(RunFault, match="died"):
        process.case("die")()


def test_without_torch_there_is_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eager, "find_spec", lambda name: None)
    with EagerProcess(Path("bundle")) as process:
        assert "torch is not installed" in process.missing
        assert process.names == []
