"""What is to be scored: a video of one camera, a pair of videos, or an episode that pvla recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pvla.datasets.schema import Camera
from pvla.errors import InputError

if TYPE_CHECKING:
    from pvla.datasets.store import Episode
    from pvla.media.video import Frame

Rgb = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Shot:
    """One observation: s since the first, and u8 (h, w, 3) by camera in the size that the estimator wants."""

    time_s: float
    images: Mapping[str, Rgb]


@dataclass(frozen=True)
class Footage:
    """A series of observations, read when asked for.

    Attributes:
        source: what it was read from.
        given: the cameras that it has.
        missing: the cameras that the estimator has and it has not.
        shots: begins a new pass over the observations.
        instruction: what the recording says was asked for, if it says.
        notes: sentences on how it was read that the reader of a score should know.
    """

    source: Path
    given: tuple[str, ...]
    missing: tuple[str, ...]
    shots: Callable[[], Iterator[Shot]]
    instruction: str | None = None
    notes: tuple[str, ...] = ()


def from_videos(files: Mapping[str, Path], cameras: Sequence[Camera], rate_hz: float) -> Footage:
    """Footage of videos by camera name, thinned to at most `rate_hz` observations a second.

    Observations fall on frames of the first camera's video; the others give their latest frame at that time.
    The videos of a pair begin at the same moment.
    Pictures of another shape are cropped around their centre.

    Raises:
        InputError: a file is no video, has no frames, or is for a camera that the estimator has not.
    """
    from pvla.media.video import probe

    known = [camera for camera in cameras if camera.name in files]
    unknown = sorted(set(files) - {camera.name for camera in known})
    if unknown:
        have = ", ".join(camera.name for camera in cameras)
        raise InputError(f"The estimator has no camera named {', '.join(unknown)} (it has {have}).")
    notes: list[str] = []
    for camera in known:
        info = probe(files[camera.name])
        if info.width * camera.height != info.height * camera.width:
            notes.append(f"The {camera.name} picture is {info.width}x{info.height}: its sides were cropped to fit.")
    given = tuple(camera.name for camera in known)

    def shots() -> Iterator[Shot]:
        return _video_shots(files, known, rate_hz)

    return Footage(files[given[0]], given, _missing(cameras, given), shots, notes=tuple(notes))


def from_recording(folder: Path, cameras: Sequence[Camera], episode: str | None = None) -> Footage:
    """Footage of an episode of a dataset, or of the recording in a folder that `pvla run` left.

    Raises:
        InputError: there is no dataset, no such episode, several and none was named, or it is damaged.
    """
    from pvla.datasets.store import Store

    dataset = find_dataset(folder)
    if dataset is None:
        raise InputError(f"{folder} is neither a video nor a folder with a recorded episode.")
    store = Store.open(dataset)
    ids = [entry.id for entry in store.info.episodes]
    if episode is None and len(ids) != 1:
        some = f": name one with --episode, as in --episode {ids[0]}" if ids else ""
        raise InputError(f"The dataset {dataset} has {len(ids)} episodes{some}.")
    chosen = store.episode(episode or ids[0])
    given = tuple(camera.name for camera in cameras if camera.name in chosen.cameras)
    if not given:
        raise InputError(f"Episode {chosen.id} has none of the cameras that the estimator looks through.")
    known = [camera for camera in cameras if camera.name in given]

    def shots() -> Iterator[Shot]:
        return _episode_shots(chosen, known)

    return Footage(folder, given, _missing(cameras, given), shots, chosen.instruction)


def find_dataset(folder: Path) -> Path | None:
    """The folder that holds `dataset.json`: `folder` or one directly in it; None if there is none."""
    places = [folder / "dataset.json", *sorted(folder.glob("*/dataset.json"))] if folder.is_dir() else []
    return next((place.parent for place in places if place.is_file()), None)


def is_run_video(video: Path) -> bool:
    """Whether `pvla run` wrote this video: its views stand beside a curve, the cameras are in the recording."""
    return (video.parent / "result.json").is_file() and find_dataset(video.parent) is not None


def fit(image: Rgb, camera: Camera) -> Rgb:
    """The picture u8 (h, w, 3) in the camera's size: cropped around its centre to its shape, then scaled."""
    height, width = image.shape[:2]
    if (height, width) == (camera.height, camera.width):
        return image
    from PIL import Image

    scale = min(height / camera.height, width / camera.width)
    rows, columns = round(camera.height * scale), round(camera.width * scale)
    top, left = (height - rows) // 2, (width - columns) // 2
    cropped = Image.fromarray(image[top : top + rows, left : left + columns])
    return np.array(cropped.resize((camera.width, camera.height), Image.Resampling.BOX), np.uint8)


def _missing(cameras: Sequence[Camera], given: Sequence[str]) -> tuple[str, ...]:
    return tuple(camera.name for camera in cameras if camera.name not in given)


def _video_shots(files: Mapping[str, Path], cameras: Sequence[Camera], rate_hz: float) -> Iterator[Shot]:
    from pvla.media.video import read_video

    main, *others = cameras
    beside = {camera.name: Follower(read_video(files[camera.name])) for camera in others}
    for frame in thin(read_video(files[main.name]), rate_hz):
        images = {main.name: fit(frame.rgb, main)}
        for camera in others:
            images[camera.name] = fit(beside[camera.name].at(frame.time_s), camera)
        yield Shot(frame.time_s, images)


def _episode_shots(episode: Episode, cameras: Sequence[Camera]) -> Iterator[Shot]:
    times = episode.timestamp
    for t in range(episode.length):
        images = {camera.name: fit(episode.image(camera.name, t), camera) for camera in cameras}
        yield Shot(float(times[t] - times[0]), images)


def thin(frames: Iterator[Frame], rate_hz: float) -> Iterator[Frame]:
    """At most `rate_hz` of the frames a second and the last one, each with its own time; none is repeated."""
    period = 1 / rate_hz
    due: float | None = None
    skipped: Frame | None = None
    for frame in frames:
        skipped = frame
        if due is None or frame.time_s >= due - 1e-3:
            yield frame
            skipped = None
            # A late frame delays the next one by half a period at most, so that the mean rate is kept.
            due = (frame.time_s if due is None else max(due, frame.time_s - period / 2)) + period
    if skipped is not None:
        yield skipped


class Follower:
    """The latest frame of a video at a time that only goes forward."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._frames = frames
        self._latest = next(frames)
        self._coming = next(frames, None)

    def at(self, time_s: float) -> Rgb:
        """The picture u8 (h, w, 3) shown at `time_s`; the first one before its time, the last one after the end."""
        while self._coming is not None and self._coming.time_s <= time_s + 1e-3:
            self._latest, self._coming = self._coming, next(self._frames, None)
        return self._latest.rgb


def check_times(times: Sequence[float], source: Path) -> None:
    """Raise InputError unless there are two observations or more, in the order of time."""
    if len(times) < 2:
        raise InputError(
            f"{source} has {len(times)} frame{'' if len(times) == 1 else 's'}: progress needs two or more."
        )
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise InputError(f"The timestamps of {source} do not increase: it is damaged.")
