from __future__ import annotations

import pytest
from record_makers import footage, trial

from pvla.deploy.bundle import Bundle
from pvla.evaluate.protocol import Choices, make_protocol
from pvla.evaluate.stopping import stop_figures


def test_figures_of_the_stop_rule(bundle: Bundle) -> None:
    protocol = make_protocol(bundle, Choices("stop", tasks=("pick_peach",)))
    records = [
        trial("guided", 1, 30, stop_step=26),
        trial("guided", 2, 30, stop_step=28),
        trial("guided", 3, 30, stop_step=30),
        trial("guided", 4, 30, stop_step=36, progress=[0.5] * 37),
        trial("guided", 5, 30),
        trial("guided", 6, None, stop_step=99),
        trial("guided", 7, None),
        footage(1, False, how="miss", done_frame=33),
        footage(2, False, how="miss"),
        footage(3, False, how="drop"),
        footage(4, True),
    ]
    (figures,) = stop_figures(records, protocol)
    assert (figures.early.value, figures.early_by_more.value, figures.never.value) == (0.4, 0.2, 0.2)
    assert (figures.delay.value, figures.delay.count) == (3.0, 2)
    assert figures.delay_95 == pytest.approx(5.7)
    assert figures.progress_at_success.value == pytest.approx((4 * 1.0 + 0.5) / 5)
    assert (figures.own_failures.value, figures.provoked.value) == (0.5, pytest.approx(1 / 3))
    assert figures.provoked_by_kind == {"drop": (0, 1), "miss": (1, 2)}
    assert (figures.failures.value, figures.failures.count) == (0.4, 5)


def test_nothing_to_say_about_no_trials(bundle: Bundle) -> None:
    protocol = make_protocol(bundle, Choices("stop", tasks=("pick_peach",)))
    (figures,) = stop_figures([], protocol)
    assert figures.early.count == figures.failures.count == 0
