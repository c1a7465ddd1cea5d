"""The parts of a LeRobot export: a group's rows, a group's video of one camera. Each is made whole or not at all.

A part's note in the work folder says that it is there, and how often each pixel value is in its pictures: what the
statistics are made of in the end, also when the export was resumed.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pvla.datasets.convert.lerobot.side import WORK
from pvla.datasets.export import lerobot_stats as stats
from pvla.datasets.export.lerobot_codec import encode
from pvla.datasets.export.lerobot_plan import Group, Plan
from pvla.datasets.export.lerobot_rows import write_rows
from pvla.datasets.files import TEMPORARY_SUFFIX, DiskFull, write_atomic
from pvla.datasets.schema import Camera
from pvla.datasets.store import Store
from pvla.errors import RunFault


@dataclass(frozen=True)
class Part:
    """One file of the export: the rows of a group, or its video of `camera`."""

    group: Group
    camera: str | None

    def file(self, plan: Plan) -> str:
        """Its place below the export's folder."""
        return self.group.data if self.camera is None else self.group.video(plan.cameras[self.camera])

    def note(self, out: Path) -> Path:
        """Where it is noted that it is there."""
        return out / WORK / f"{self.group.number:06d}.{self.camera or ''}.json"


def parts_of(plan: Plan) -> list[Part]:
    """All parts of an export."""
    return [Part(group, camera) for group in plan.groups for camera in (None, *plan.cameras)]


def is_made(part: Part, plan: Plan, out: Path) -> bool:
    """Whether a part is there, of the size that was noted when it was made."""
    try:
        noted = json.loads(part.note(out).read_bytes())["bytes"]
        return bool((out / part.file(plan)).stat().st_size == noted)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def make(part: Part, plan: Plan, out: Path) -> None:
    """Make a part: write it beside, put it in its place, note it.

    Raises:
        InputError: an episode of the store is damaged.
        RunFault: the disk is full, or the file cannot be written.
    """
    counts: list[list[list[int]]] = []

    def write(file: Path) -> None:
        with Store.open(plan.store) as store:
            if part.camera is None:
                write_rows(file, plan, store, part.group)
            else:
                counts.extend(_write_video(file, plan, store, part.group, plan.info.camera(part.camera)))

    size = _whole(out / part.file(plan), out / WORK, write)
    write_atomic(part.note(out), json.dumps({"bytes": size, "counts": counts}).encode())


def counts_of(part: Part, out: Path) -> list[stats.Histogram]:
    """How often each value is in the sampled pictures of each of a part's episodes."""
    return [np.array(count) for count in json.loads(part.note(out).read_bytes())["counts"]]


def _write_video(file: Path, plan: Plan, store: Store, group: Group, camera: Camera) -> list[list[list[int]]]:
    counts: list[list[list[int]]] = []

    def pictures() -> Iterator[npt.NDArray[np.uint8]]:
        for number in range(group.first, group.stop):
            episode, count = store[number], np.zeros((3, 256), np.int64)
            taken = stats.sampled(episode.length)
            for t in range(episode.length):
                picture = episode.image(camera.name, t)
                if t in taken:
                    count += stats.histogram(picture)
                yield picture
            counts.append(count.tolist())

    encode(file, camera, plan.info.fps, pictures())
    return counts


def _whole(file: Path, work: Path, write: Callable[[Path], None]) -> int:
    """Let `write` write a file in the work folder, then put it in its place; returns its size.

    The note that follows is synced to the disk, and with it the change of name.
    """
    temporary = work / f"{os.getpid()}-{file.name}{TEMPORARY_SUFFIX}"
    try:
        write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle)
        size = temporary.stat().st_size
        file.parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary, file)
    except OSError as error:  # PyAV's errors of writing are among them
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"The disk is full: {file} could not be written; free some space, then --resume.") from error
        raise RunFault(f"Cannot write {file}: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return size
