from __future__ import annotations

import numpy as np
import pytest
from record_makers import footage

from pvla.deploy.bundle import Bundle
from pvla.evaluate.protocol import Choices, make_protocol
from pvla.evaluate.truthfulness import CLOCK, DISTANCE, curve_figures, probe_figures


def test_progress_is_shown_beside_baselines(bundle: Bundle) -> None:
    protocol = make_protocol(bundle, Choices("progress", tasks=("pick_peach",)))
    off = np.clip(np.linspace(0, 1, 41) + 0.1, 0, 1).tolist()
    accident = footage(4, True, how="miss", progress=[0.0] * 41)
    records = [footage(1, True), footage(2, True, progress=off), footage(3, False), accident]
    found = {(figures.what, figures.success): figures for figures in curve_figures(records, protocol)}
    own = found["progress", True]
    assert own.l1.value == pytest.approx(np.abs(np.array(off) - np.linspace(0, 1, 41)).mean() / 2)
    assert own.pearson.value > 0.99
    assert found["progress", False].end.value == pytest.approx(0.4)
    assert found[CLOCK, True].l1.value == pytest.approx(0.0)
    # A clock and a distance that know nothing call a failure done, which shows in their error.
    assert found[CLOCK, False].end.value == found[DISTANCE, False].end.value == 1.0
    assert found[CLOCK, False].l1.value == pytest.approx(0.3, abs=0.01)
    assert found[CLOCK, False].pearson.value == pytest.approx(1.0)


def test_probes(bundle: Bundle) -> None:
    protocol = make_protocol(bundle, Choices("progress", tasks=("pick_peach",)))
    eager = footage(2, False, progress=np.linspace(0, 1, 41).tolist())
    found = {figures.what: figures for figures in probe_figures([footage(1, True), eager], protocol)}
    assert (found["as it is"].end.value, found["as it is"].done.value) == (1.0, 1.0)
    assert (found["first half only"].end.value, found["first half only"].done.value) == (0.5, 0.0)
    assert found["first picture only"].end.value == 0.0
    assert (found["backwards"].end.value, found["backwards"].done.value) == (0.1, 0.0)
    assert found["another task's instruction"].done.count == 1
    assert found["failures"].done.value == 1.0
