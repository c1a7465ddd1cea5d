from __future__ import annotations

from pvla.deploy.manifest import Stop
from pvla.deploy.termination import Termination


def test_done_after_so_many_observations_in_a_row() -> None:
    termination = Termination(Stop(threshold=0.9, consecutive=3))
    seen = [termination.update(p) for p in (0.95, 0.9, 0.89, 0.9, 0.99, float("nan"), 0.9, 0.9, 0.9, 0.1)]
    assert seen == [False] * 8 + [True, True]
