from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pvla.datasets.statistics import EXACT, RunningStatistics, episode_statistics
from pvla.datasets.store import Store
from pvla.errors import InputError

finite = st.floats(-1e6, 1e6)
tables = hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.just(2)), elements=finite)


@given(tables, st.lists(st.integers(0, 40), max_size=4))
@settings(max_examples=100, deadline=None)
def test_pieces_in_any_order_merge_to_numpy(rows: np.ndarray, cuts: list[int]) -> None:
    total = RunningStatistics(2)
    for piece in np.split(rows, sorted(cuts)):
        part = RunningStatistics(2)
        part.update(piece)
        total.merge(part)
    result = total.result()
    assert result.count == len(rows)
    np.testing.assert_allclose(result.mean, rows.mean(0), atol=1e-9, rtol=1e-9)
    np.testing.assert_allclose(result.std, rows.std(0), atol=1e-4, rtol=1e-9)
    np.testing.assert_array_equal([result.min, result.max], [rows.min(0), rows.max(0)])
    np.testing.assert_allclose([result.q01, result.q99], np.quantile(rows, [0.01, 0.99], axis=0), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["normal", "exponential", "two values", "sorted"])
def test_quantiles_of_many_values(kind: str) -> None:
    rng = np.random.default_rng(0)
    count = 20 * EXACT
    values = {
        "normal": rng.normal(size=count),
        "exponential": rng.exponential(size=count),
        "two values": (rng.random(count) < 0.3).astype(float),
        "sorted": np.arange(count, dtype=float),
    }[kind]
    parts = [RunningStatistics(1) for _ in range(3)]
    for number, piece in enumerate(np.array_split(values, 97)):
        parts[number % 3].update(piece[:, None])
    for part in parts[1:]:
        parts[0].merge(part)
    result = parts[0].result()
    for estimate, q in ((result.q01[0], 0.01), (result.q99[0], 0.99)):
        low, high = np.quantile(values, [q - 3e-4, q + 3e-4])
        assert low <= estimate <= high
    assert result.mean[0] == pytest.approx(values.mean(), abs=1e-9)


def test_frames_that_are_not_finite_do_not_count() -> None:
    running = RunningStatistics(2)
    running.update([[1, 2], [np.nan, 5], [3, np.inf], [3, 4]])
    result = running.result()
    assert (result.count, result.mean) == (2, [2, 3])


def test_statistics_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        RunningStatistics(1).result()


def test_all_columns_of_a_dataset(make_store: Callable[..., Store]) -> None:
    store = make_store()
    statistics = store.statistics()
    assert set(statistics) == {"action", "state", "extras/tcp"}
    actions = np.concatenate([episode.action for episode in store]).astype(np.float64)
    np.testing.assert_allclose(statistics["action"].mean, actions.mean(0), rtol=1e-12)
    np.testing.assert_allclose(statistics["action"].q99, np.quantile(actions, 0.99, axis=0), rtol=1e-12)
    assert store.info.statistics == statistics


def test_a_damaged_shard_is_bad_input(make_store: Callable[..., Store]) -> None:
    store = make_store()
    shard = store.path / "shards" / store.info.episodes[0].shard
    shard.write_bytes(shard.read_bytes()[:2000])
    with pytest.raises(InputError, match="truncated or damaged"):
        episode_statistics([shard])
