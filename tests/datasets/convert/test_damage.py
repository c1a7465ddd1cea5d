from __future__ import annotations

import pytest
from damage import MAKERS, attempts


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MAKERS))
def test_damage_is_told_and_ends_nothing(name: str) -> None:
    wrong = [verdict for verdict in attempts(8, name) if verdict[3]]
    assert wrong == []
