from __future__ import annotations

import json
from pathlib import Path

import pytest

from pvla.cli import main
from pvla.deploy import doctor
from pvla.deploy.doctor import Check


def fake_findings(monkeypatch: pytest.MonkeyPatch, ready: bool) -> None:
    checks = [
        Check("bundle", ready, True, "found [x]", "" if ready else "Do this."),
        Check("GPU", False, False, "none"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda bundle, workspace: checks)


@pytest.mark.parametrize(("ready", "code"), [(True, 0), (False, 1)])
def test_exit_code_says_whether_simulation_works(
    ready: bool, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_findings(monkeypatch, ready)
    assert main.run(["doctor"]) == code
    printed = capsys.readouterr().out
    assert "found [x]" in printed
    assert ("Do this." in printed) != ready


def test_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fake_findings(monkeypatch, True)
    assert main.run(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["simulation"] is True
    assert document["checks"][1] == {
        "name": "GPU",
        "ok": False,
        "required": False,
        "found": "none",
        "advice": "",
    }


def test_names_a_missing_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["doctor", "--json", "--bundle", str(tmp_path / "none")]) == 1
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert not checks["bundle"]["ok"]
