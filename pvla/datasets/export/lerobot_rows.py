"""The rows of an episode in a LeRobot dataset, and the Parquet file of a group of episodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pvla.datasets.convert.lerobot.parquet import parquet, pyarrow
from pvla.datasets.convert.lerobot.side import TIME
from pvla.datasets.export.lerobot_plan import ACTION, STATE, Group, Plan
from pvla.datasets.store import Episode, Store

Columns = dict[str, npt.NDArray[Any]]


def columns_of(plan: Plan, episode: Episode, number: int, start: int) -> Columns:
    """An episode's columns by feature, (T, n) or (T,): `start` is the number of its first frame among all.

    `timestamp` is frame number / fps in f32, as LeRobot looks pictures up by it; the exact time stamps are in another
    column. An extra that the episode has not is NaN.
    """
    length, info = episode.length, plan.info
    extras = episode.extras
    columns: Columns = {ACTION: episode.action}
    if info.state_dim:
        columns[STATE] = episode.state
    for name, key in plan.extras.items():
        columns[key] = extras.get(name, np.full((length, info.extras[name]), np.nan, np.float32))
    frames = np.arange(length)
    columns[TIME] = episode.timestamp
    columns["timestamp"] = (frames / info.fps).astype(np.float32)
    columns["frame_index"] = frames
    columns["episode_index"] = np.full(length, number)
    columns["index"] = start + frames
    columns["task_index"] = np.full(length, plan.tasks[episode.instruction])
    return columns


def write_rows(file: Path, plan: Plan, store: Store, group: Group) -> None:
    """Write a group's Parquet file, one row group an episode.

    No dictionaries: they would make one of two NaNs with different bits.

    Raises:
        InputError: an episode of the store is damaged.
        OSError: the file cannot be written.
    """
    start = group.start
    with parquet().ParquetWriter(
        file, _schema(plan), compression="snappy", use_dictionary=False, write_statistics=["episode_index"]
    ) as writer:
        for number in range(group.first, group.stop):
            episode = store[number]
            columns = columns_of(plan, episode, number, start)
            arrays = [_array(columns[key]) for key in plan.columns]
            writer.write_table(pyarrow().Table.from_arrays(arrays, schema=_schema(plan)))
            start += episode.length


def _schema(plan: Plan) -> Any:
    pa = pyarrow()
    fields = []
    for key in plan.columns:
        feature = plan.features[key]
        kind, width = pa.type_for_alias(feature["dtype"]), feature["shape"][0]
        fields.append(pa.field(key, kind if width == 1 else pa.list_(kind, width)))
    return pa.schema(fields)


def _array(rows: npt.NDArray[Any]) -> Any:
    pa, flat = pyarrow(), pyarrow().array(rows.reshape(-1))
    return flat if rows.ndim == 1 or rows.shape[1] == 1 else pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])
