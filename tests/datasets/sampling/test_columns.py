from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvla.datasets.sampling import columns as module
from pvla.datasets.sampling.columns import ColumnCache, Columns


def with_times(times: np.ndarray) -> Columns:
    rows = np.arange(len(times), dtype=np.float32)
    return Columns(None, rows[:, None], rows[:, None], times, rows)  # type: ignore[arg-type]


@given(st.lists(st.floats(0.01, 3.0), min_size=1, max_size=30), st.floats(0.01, 5.0), st.data())
def test_later_is_the_nearest_of_all_frames_after(steps: list[float], seconds: float, data: st.DataObject) -> None:
    times = np.concatenate([[0.0], np.cumsum(steps)])
    t = data.draw(st.integers(0, len(times) - 2))
    later = with_times(times).later(t, seconds)
    assert t < later < len(times)
    distances = np.abs(times[t + 1 :] - (times[t] + seconds))
    assert distances[later - t - 1] == pytest.approx(distances.min(), abs=1e-12)


def test_the_last_frame_has_none_after_it() -> None:
    columns = with_times(np.array([0.0, 0.1]))
    for t in (1, 2, -1):
        with pytest.raises(IndexError):
            columns.later(t, 1.0)


def test_a_chunk_past_the_end_holds_the_last_action() -> None:
    chunk, is_pad = with_times(np.arange(4) / 10).chunk(2, 5)
    assert chunk[:, 0].tolist() == [2, 3, 3, 3, 3]
    assert is_pad.tolist() == [False, False, True, True, True]


def test_the_cache_keeps_what_was_used_last(make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(lengths=(10, 10, 10))
    monkeypatch.setattr(module, "_MAX_FRAMES", 20)
    cache = ColumnCache(store)
    first, second = cache.columns(0), cache.columns(1)
    assert cache.columns(0) is first
    cache.columns(2)
    assert cache.columns(0) is first
    assert cache.columns(1) is not second
