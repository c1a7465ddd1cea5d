"""What a dataset says about itself: the content of `dataset.json`, schema version 1.

The shards are the truth about the episodes; the episode list, the shard list and the statistics in here are
an index that `pvla.datasets.index.rebuild_index` can make again from the shards at any time.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

SCHEMA_VERSION = 1

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:+@=-]{0,199}$")]
"""A name that is also a file's or an HDF5 group's: it can neither nest nor leave the dataset's folder."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class Camera(_Model):
    """One camera: every image of it is u8 RGB of shape (height, width, 3)."""

    name: Name
    height: int = Field(gt=0)
    width: int = Field(gt=0)


ActionKind = Literal[
    "joint_position", "joint_delta", "joint_velocity", "eef_pose", "eef_delta", "eef_velocity", "unknown"
]


class ActionSpace(_Model):
    """What the columns of `action` (T, A) mean: in which frame, and how often one is applied.

    `kind` is of all columns but the gripper's. Where a source does not say what its actions mean, `kind` is
    unknown, units are "?", and `gripper` is "as recorded": nothing was turned, nothing is claimed.
    """

    kind: ActionKind
    names: list[str] = Field(min_length=1)
    units: list[str]
    frame: str
    gripper: Literal["1 = open, 0 = closed", "as recorded", "none"] = "1 = open, 0 = closed"
    rate_hz: float = Field(gt=0)

    @field_validator("units")
    @classmethod
    def _one_unit_a_name(cls, units: list[str], values: object) -> list[str]:
        names = getattr(values, "data", {}).get("names", units)
        if len(units) != len(names):
            raise ValueError(f"{len(units)} units for {len(names)} names")
        return units


class Task(_Model):
    """A task and the wordings that ask for it."""

    name: str
    instructions: list[str]


class EpisodeEntry(_Model):
    """One episode in the index.

    `success` None means unknown; `interrupted` means that recording ended before the episode did.
    """

    id: Name
    shard: Name
    length: int
    instruction: str
    task: str | None = None
    success: bool | None = None
    source_id: str = ""
    interrupted: bool = False


class ShardEntry(_Model):
    """One sealed shard: its size and the sha256 of its bytes ("" until the index is made anew)."""

    bytes: int
    sha256: str


class Statistics(_Model):
    """Statistics of one column (n,) over the `count` frames in which it is finite; std divides by count."""

    mean: list[float]
    std: list[float]
    min: list[float]
    max: list[float]
    q01: list[float]
    q99: list[float]
    count: int


class ImageCoding(_Model):
    """How the writer encodes images that it is given as arrays.

    Full chroma is the default: on pictures of the simulator's head camera at quality 92 it takes 31 % more bytes
    than 4:2:0 and gives 6.1 dB more PSNR (39.0 against 33.0); on down-scaled real video 22 % and 2.0 dB. Spending
    those bytes on 4:2:0 at quality 95 instead gives 0.5 dB.
    """

    codec: Literal["jpeg"] = "jpeg"
    quality: int = Field(default=92, ge=1, le=100)
    subsampling: Literal["4:4:4", "4:2:0"] = "4:4:4"


class DatasetInfo(_Model):
    """The content of `dataset.json`.

    `unfinished` names the parts of a conversion that have still to be made: a dataset with any is not whole.
    """

    schema_version: Literal[1] = 1
    name: str
    fps: float = Field(gt=0)
    cameras: list[Camera]
    action_space: ActionSpace
    state_names: list[str] = []
    tasks: list[Task] = []
    extras: dict[Name, int] = {}
    source: str = ""
    license: str = ""
    images: ImageCoding = ImageCoding()
    statistics: dict[str, Statistics] = {}
    shards: dict[Name, ShardEntry] = {}
    episodes: list[EpisodeEntry] = []
    unfinished: list[str] = []

    @property
    def action_dim(self) -> int:
        """A, the width of `action`."""
        return len(self.action_space.names)

    @property
    def state_dim(self) -> int:
        """S, the width of `state`; 0 when the dataset has none."""
        return len(self.state_names)

    def camera(self, name: str) -> Camera:
        """The camera of that name.

        Raises:
            KeyError: no camera has that name.
        """
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise KeyError(name)

    def without_index(self) -> DatasetInfo:
        """A copy without episodes, shards and statistics: what two writers of one dataset must agree on."""
        return self.model_copy(update={"statistics": {}, "shards": {}, "episodes": [], "unfinished": []})
