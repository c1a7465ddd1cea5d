from __future__ import annotations

import json

import numpy as np
import pytest

from pvla.errors import RunFault
from pvla.export.verify import Agreement, agreement, missed_bars, parity_document, parity_of, require_parity

GOOD = Agreement(1e-9, 1e-6, 0.9999999)


def test_agreement_is_relative_to_the_largest_number() -> None:
    found = agreement(np.array([0.0, 3.0, -4.0]), np.array([0.0, 3.0, -4.2]))
    assert found.max_abs == pytest.approx(0.2)
    assert found.relative == pytest.approx(0.05)
    assert found.cosine == pytest.approx((9 + 16.8) / (5 * np.hypot(3, 4.2)))


def test_equal_arrays_agree_even_where_they_are_zero() -> None:
    assert agreement(np.zeros(3), np.zeros(3)) == Agreement(0.0, 0.0, 1.0)


def test_a_gradient_that_vanished_in_one_of_both_is_seen() -> None:
    for eager, exported in ((np.ones(3), np.zeros(3)), (np.zeros(3), np.ones(3))):
        assert missed_bars({"latent_step_full": {"grad": agreement(eager, exported)}})


@pytest.mark.parametrize(
    ("graph", "output", "found", "missed"),
    [
        ("latent_step_full", "grad", GOOD, 0),
        ("latent_step_full", "grad", Agreement(1e-9, 2e-5, 1.0), 1),
        ("latent_step_full", "grad", Agreement(1e-9, 1e-6, 0.9999), 1),
        ("latent_step_full", "eps", Agreement(1e-9, 2e-5, 1.0), 0),
        ("vision", "patches", Agreement(1e-3, 2e-4, 1.0), 1),
        ("sampler_full", "x_a_out", Agreement(1e-3, 2e-4, 1.0), 0),
        ("text", "text", Agreement(float("nan"), float("nan"), float("nan")), 1),
    ],
)
def test_bars(graph: str, output: str, found: Agreement, missed: int) -> None:
    parity = {"progress": {"progress": GOOD}, graph: {output: found}}
    assert len(missed_bars(parity)) == missed
    if missed:
        with pytest.raises(RunFault, match=f"{graph}.{output}"):
            require_parity(parity)
    else:
        require_parity(parity)


def test_parity_survives_json() -> None:
    parity = {"score": {"q": GOOD}}
    assert parity_of(json.loads(json.dumps(parity_document(parity)))) == parity
