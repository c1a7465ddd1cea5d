from __future__ import annotations

import pytest

from pvla.deploy.bundle import Bundle
from pvla.evaluate import ticks


def test_legs_add_up_and_never_stop_for_success(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticks, "LEG_SECONDS", 0.5)
    told: list[int] = []
    found = ticks.count_ticks(bundle.path, 1.0, None, lambda: told.append(1))
    assert found.legs == 2
    assert len(told) == found.ticks
    assert 1 <= found.ticks <= 12
    assert found.guidance == "fast, scale 2"
    assert found.seconds >= 1.0
