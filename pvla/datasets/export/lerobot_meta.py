"""The folder `meta` of a LeRobot export, written when all data are there; `info.json` last: it makes the dataset."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from pvla.datasets.convert.lerobot import side
from pvla.datasets.convert.lerobot.meta import INFO
from pvla.datasets.convert.lerobot.parquet import parquet, pyarrow
from pvla.datasets.export import lerobot_stats as stats
from pvla.datasets.export.lerobot_parts import Part, counts_of
from pvla.datasets.export.lerobot_plan import CHUNK, VERSION, Group, Plan, rate
from pvla.datasets.export.lerobot_rows import columns_of
from pvla.datasets.files import write_atomic
from pvla.datasets.statistics import RunningStatistics
from pvla.datasets.store import Store
from pvla.documents import to_json

_EPISODES_A_FILE: Final = 1000

Row = dict[str, Any]


def write_meta(plan: Plan, store: Store, out: Path) -> None:
    """Write all of `meta`.

    Raises:
        InputError: an episode of the store is damaged.
        RunFault: a file cannot be written.
    """
    total = _Total(plan)
    rows = (row for group in plan.groups for row in _rows(plan, store, out, group, total))
    number = 0
    while some := list(islice(rows, _EPISODES_A_FILE)):
        place = {"chunk_index": number // CHUNK, "file_index": number % CHUNK}
        for row in some:
            row |= {f"meta/episodes/{name}": index for name, index in place.items()}
        file = f"meta/episodes/chunk-{place['chunk_index']:03d}/file-{place['file_index']:03d}.parquet"
        _write_table(out / file, pyarrow().Table.from_pylist(some))
        number += 1
    _write_json(out / "meta/stats.json", total.stats())
    _write_tasks(plan, out)
    _write_side(plan, store, out)
    _write_json(out / INFO, _info(plan))


class _Total:
    """Statistics over all episodes, as the episodes go by."""

    def __init__(self, plan: Plan) -> None:
        self.columns = {key: RunningStatistics(plan.features[key]["shape"][0]) for key in plan.columns}
        self.counts = {key: np.zeros((3, 256), np.int64) for key in plan.cameras.values()}
        self.pictures = dict.fromkeys(self.counts, 0)

    def stats(self) -> dict[str, stats.Stats]:
        told = {key: stats.of_column(running) for key, running in self.columns.items()}
        return told | {key: stats.of_pictures(self.counts[key], self.pictures[key]) for key in self.counts}


def _rows(plan: Plan, store: Store, out: Path, group: Group, total: _Total) -> Iterable[Row]:
    """The rows of a group's episodes in `meta/episodes`."""
    counts = {key: counts_of(Part(group, name), out) for name, key in plan.cameras.items()}
    start = group.start
    for number in range(group.first, group.stop):
        entry = plan.entries[number]
        row: Row = {"episode_index": number, "tasks": [entry.instruction], "length": entry.length}
        row |= {f"data/{name}": index for name, index in group.place.items()}
        row |= {"dataset_from_index": start, "dataset_to_index": start + entry.length}
        for key in plan.cameras.values():
            row |= _video_place(plan, group, key, start - group.start, entry.length)
        told = _column_stats(plan, store, number, start, total)
        for key in counts:
            told[key] = _picture_stats(counts[key][number - group.first], key, entry.length, total)
        row |= {f"stats/{key}/{name}": value for key, values in told.items() for name, value in values.items()}
        yield row
        start += entry.length


def _video_place(plan: Plan, group: Group, key: str, first: int, length: int) -> Row:
    fps = plan.info.fps
    times = {"from_timestamp": first / fps, "to_timestamp": (first + length) / fps}
    return {f"videos/{key}/{name}": value for name, value in {**group.place, **times}.items()}


def _column_stats(plan: Plan, store: Store, number: int, start: int, total: _Total) -> dict[str, stats.Stats]:
    told = {}
    columns = columns_of(plan, store[number], number, start)
    for key in plan.columns:
        running = RunningStatistics(plan.features[key]["shape"][0])
        running.update(columns[key])
        total.columns[key].merge(running)
        told[key] = stats.of_column(running)
    return told


def _picture_stats(counts: stats.Histogram, key: str, length: int, total: _Total) -> stats.Stats:
    pictures = len(stats.sampled(length))
    total.counts[key] += counts
    total.pictures[key] += pictures
    return stats.of_pictures(counts, pictures)


def _write_tasks(plan: Plan, out: Path) -> None:
    """The tasks as pandas writes a table whose unnamed index they are: LeRobot reads them back through pandas."""
    pa = pyarrow()
    index = "__index_level_0__"
    numbers, texts = pa.array(list(plan.tasks.values()), pa.int64()), pa.array(list(plan.tasks), pa.string())
    table = pa.table({"task_index": numbers, index: texts})
    column: dict[str, Any] = {"name": None, "field_name": index, "pandas_type": "unicode", "numpy_type": "object"}
    number = {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"}
    labels = {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object"}
    told = {
        "index_columns": [index],
        "column_indexes": [{**labels, "metadata": {"encoding": "UTF-8"}}],
        "columns": [{**number, "metadata": None}, {**column, "metadata": None}],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    _write_table(out / "meta/tasks.parquet", table.replace_schema_metadata({"pandas": to_json(told)}))


def _write_side(plan: Plan, store: Store, out: Path) -> None:
    """What LeRobot has no place for, see `pvla.datasets.convert.lerobot.side`."""
    info = side.SideInfo(fingerprint=plan.fingerprint, cameras=plan.cameras, extras=plan.extras, info=plan.info)
    (out / side.FOLDER).mkdir(parents=True, exist_ok=True)
    write_atomic(out / side.DATASET, info.model_dump_json(indent=1).encode())
    rows = []
    for number, entry in enumerate(plan.entries):
        episode = store[number]
        told = entry.model_dump(exclude={"shard"})
        noted = side.SideEpisode(episode_index=number, **told, notes=episode.notes, extras=list(episode.extras))
        rows.append(noted.model_dump())
    _write_table(out / side.EPISODES, pyarrow().Table.from_pylist(rows, schema=_side_schema()))


def _side_schema() -> Any:
    pa = pyarrow()
    text = pa.string()
    kinds = {"episode_index": pa.int64(), "id": text, "length": pa.int64(), "instruction": text, "task": text}
    kinds |= {"success": pa.bool_(), "source_id": text, "interrupted": pa.bool_(), "notes": text}
    return pa.schema({**kinds, "extras": pa.list_(text)})


def _info(plan: Plan) -> dict[str, Any]:
    return {
        "codebase_version": VERSION,
        "robot_type": None,
        "total_episodes": len(plan.entries),
        "total_frames": plan.frames,
        "total_tasks": len(plan.tasks),
        "chunks_size": CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": rate(plan.info.fps),
        "splits": {"train": f"0:{len(plan.entries)}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4" if plan.cameras else None,
        "features": plan.features,
    }


def _write_table(file: Path, table: Any) -> None:
    sink = pyarrow().BufferOutputStream()
    parquet().write_table(table, sink, compression="snappy")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, memoryview(sink.getvalue()))


def _write_json(file: Path, document: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, to_json(document).encode())
