"""The folder `meta/pvla`, in which pvla's own LeRobot datasets keep what LeRobot has no place for.

`dataset.json` has what the store says about itself, and which feature is which camera and extra. `episodes.parquet` has
a row an episode: id, texts, flags, notes, and the extras that it has. Exact time stamps (f64) are a column of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pvla.datasets.convert.lerobot.parquet import parquet
from pvla.datasets.convert.lerobot.paths import absence
from pvla.datasets.schema import DatasetInfo, Name

FOLDER: Final = "meta/pvla"
DATASET: Final = f"{FOLDER}/dataset.json"
EPISODES: Final = f"{FOLDER}/episodes.parquet"
WORK: Final = ".pvla-export"
TIME: Final = "pvla.timestamp"
SCHEMA_VERSION: Final = 1


class SideInfo(BaseModel):
    """The content of `meta/pvla/dataset.json`: features by camera and extra, and the store's own description.

    `fingerprint` is of the store's content when it was exported.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    fingerprint: str
    cameras: dict[Name, str]
    extras: dict[Name, str]
    info: DatasetInfo


class SideEpisode(BaseModel):
    """One row of `meta/pvla/episodes.parquet`."""

    episode_index: int
    id: Name
    length: int
    instruction: str
    task: str | None
    success: bool | None
    source_id: str
    interrupted: bool
    notes: str
    extras: list[str]


@dataclass(frozen=True)
class Side:
    """What `meta/pvla` says; episodes by their number."""

    info: SideInfo
    episodes: dict[int, SideEpisode]


def load_side(root: Path) -> Side | None:
    """Read `meta/pvla` of the dataset at `root`; None if it has none.

    Raises:
        ValueError: it is malformed.
        OSError: it cannot be read.
    """
    if absence(root / DATASET):
        return None
    try:
        info = SideInfo.model_validate_json((root / DATASET).read_bytes())
        with parquet().ParquetFile(root / EPISODES) as table:
            rows: list[dict[str, Any]] = table.read().to_pylist()
        episodes = [SideEpisode.model_validate(row) for row in rows]
    except ValidationError as error:
        raise ValueError(f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from error
    if len({episode.id for episode in episodes}) < len(episodes):
        raise ValueError("two episodes of one id")
    return Side(info, {episode.episode_index: episode for episode in episodes})
