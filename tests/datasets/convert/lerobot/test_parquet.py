"""An episode's rows in a Parquet file that may hold many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pvla.datasets.convert.lerobot.parquet import EpisodeRows
from pvla.datasets.convert.source import Damaged


def write(file: Path, lengths: list[int], rows_a_group: int, *, statistics: bool = True) -> np.ndarray:
    """A file of episodes 0, 1, 2 ...; returns its column of numbers (N, 2)."""
    episodes = np.repeat(np.arange(len(lengths)), lengths)
    values = np.random.default_rng(0).normal(size=(len(episodes), 2)).astype(np.float32)
    action = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), 2)
    text = [f"{episode}-{row}" for row, episode in enumerate(episodes)]
    table = pa.table({"episode_index": episodes, "action": action, "text": text})
    pq.write_table(table, file, row_group_size=rows_a_group, write_statistics=statistics)
    return values


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=5),
    rows_a_group=st.integers(1, 100),
    statistics=st.booleans(),
)
def test_rows_are_found_wherever_groups_end(
    lengths: list[int], rows_a_group: int, statistics: bool, tmp_path: Path
) -> None:
    values = write(tmp_path / "a.parquet", lengths, rows_a_group, statistics=statistics)
    for episode, length in enumerate(lengths):
        start = sum(lengths[:episode])
        rows = EpisodeRows(tmp_path / "a.parquet", episode)
        assert rows.length == length
        assert np.array_equal(rows.columns(["action"])["action"], values[start : start + length])
        assert list(rows.cells("text")) == [f"{episode}-{row}" for row in range(start, start + length)]


def test_all_rows_are_those_of_a_file_of_its_own(tmp_path: Path) -> None:
    values = write(tmp_path / "a.parquet", [3, 4], 2)
    assert np.array_equal(EpisodeRows(tmp_path / "a.parquet", None).columns(["action"])["action"], values)


def test_an_episode_that_is_not_there_is_damage(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [3, 4], 2)
    with pytest.raises(Damaged, match="no rows of it"):
        EpisodeRows(tmp_path / "a.parquet", 2)


def test_a_file_that_does_not_say_whose_rows_are_whose_is_damage(tmp_path: Path) -> None:
    pq.write_table(pa.table({"action": [1.0]}), tmp_path / "a.parquet")
    with pytest.raises(Damaged, match="no column episode_index"):
        EpisodeRows(tmp_path / "a.parquet", 0)


def test_minus_zero_and_the_bits_of_nan_survive(tmp_path: Path) -> None:
    values = np.array([0x80000000, 0x7FC00001, 0x7F800000], np.uint32).view(np.float32)
    pq.write_table(pa.table({"action": values}), tmp_path / "a.parquet", use_dictionary=False)
    read = EpisodeRows(tmp_path / "a.parquet", None).columns(["action"])["action"]
    assert np.array_equal(read.view(np.uint32).reshape(-1), values.view(np.uint32))
