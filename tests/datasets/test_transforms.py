from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pvla.datasets.transforms import ActionTransform

RELATIVE = (True, True, False)


def chunks(seed: int = 0, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Chunks (n, H=4, A=3) that drift from their state (n, 3), the last dimension absolute."""
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(n, 3)).astype(np.float32)
    drift = np.cumsum(0.1 * rng.normal(size=(n, 4, 3)), axis=1)
    actions = states[:, None] * np.array([1, 1, 0]) + drift
    return actions.astype(np.float32), states


@pytest.fixture
def transform() -> ActionTransform:
    return ActionTransform.fit(*chunks(), RELATIVE)


def test_two_percent_lie_outside_at_each_step_and_dimension(transform: ActionTransform) -> None:
    x = transform.encode(*chunks())
    assert x.dtype == np.float32
    assert x.min() == -1
    assert x.max() == 1
    np.testing.assert_allclose((np.abs(x) == 1).mean(0), 0.02, atol=0.006)
    assert (transform.high - transform.low)[-1, 0] > 1.5 * (transform.high - transform.low)[0, 0]


def test_encoding_and_decoding_undo_each_other_within_the_range(transform: ActionTransform) -> None:
    actions, states = chunks(1)
    x = transform.encode(actions, states)
    inside = np.abs(x) < 1
    assert inside.mean() > 0.9
    np.testing.assert_allclose(transform.decode(x, states)[inside], actions[inside], atol=1e-5)
    assert transform.decode(x, states).dtype == np.float32


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**31), st.sampled_from([(), (5,), (2, 3)]))
def test_decoding_then_encoding_is_the_identity_for_any_leading_shape(seed: int, lead: tuple[int, ...]) -> None:
    transform, rng = ActionTransform.fit(*chunks(), RELATIVE), np.random.default_rng(seed)
    x, state = rng.uniform(-1, 1, (*lead, 4, 3)).astype(np.float32), rng.normal(size=(*lead, 3)).astype(np.float32)
    np.testing.assert_allclose(transform.encode(transform.decode(x, state), state), x, atol=1e-4)


def test_only_relative_dimensions_move_with_the_state(transform: ActionTransform) -> None:
    actions, states = chunks(2)
    shift = np.array([0.7, -0.3, 5.0], np.float32)
    moved = actions + shift * np.array([1, 1, 0], np.float32)
    np.testing.assert_allclose(transform.encode(moved, states + shift), transform.encode(actions, states), atol=1e-4)
    apart = transform.decode(np.zeros((4, 3)), shift) - transform.decode(np.zeros((4, 3)), 0 * shift)
    np.testing.assert_allclose(apart, np.broadcast_to(shift * [1, 1, 0], (4, 3)), atol=1e-6)


def test_a_dimension_that_never_moves_maps_to_the_middle_and_back() -> None:
    actions, states = chunks()
    actions[..., 2] = 0.25
    transform = ActionTransform.fit(actions, states, RELATIVE)
    x = transform.encode(actions, states)
    np.testing.assert_allclose(x[..., 2], 0, atol=1e-3)
    np.testing.assert_allclose(transform.decode(x, states)[..., 2], 0.25, atol=1e-5)


def test_it_survives_json(transform: ActionTransform) -> None:
    again = ActionTransform.model_validate_json(transform.model_dump_json())
    np.testing.assert_allclose(again.low, transform.low, atol=1e-7)
    np.testing.assert_allclose(again.high, transform.high, atol=1e-7)
    assert again.low.dtype == np.float32
    assert again.relative == transform.relative


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"relative": (True,)}, "1 flags"),
        ({"high": np.full((4, 3), -9.0)}, "high must exceed low"),
        ({"low": np.zeros((2, 3))}, "low"),
        ({"offset": 1}, "offset"),
    ],
)
def test_tables_that_do_not_fit_are_refused(transform: ActionTransform, change: dict[str, object], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        ActionTransform.model_validate({**transform.model_dump(), **change})
