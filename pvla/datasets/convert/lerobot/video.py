"""Pictures of an episode, from a video that may hold other episodes too, or from Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from pvla.datasets.convert.lerobot.parquet import EpisodeRows
from pvla.datasets.convert.lerobot.paths import confined
from pvla.datasets.convert.source import Damaged, Finding, Rgb

_HALF: Final = 0.5  # of a frame: what the time of a picture may differ from that of its row


@dataclass(frozen=True)
class VideoSlice:
    """The pictures of one episode in a video that several share: those at `start_s` + `times` (T,), in s.

    It can be drawn from again and again; each time the video is opened, and decoded from the key frame before.
    """

    file: Path
    start_s: float
    times: npt.NDArray[np.float64]
    fps: float

    def __iter__(self) -> Iterator[Rgb]:
        """u8 RGB (h, w, 3), T times.

        Raises:
            Damaged: a picture is not whole, or not there: none lies within half a frame of its row's time.
            FFmpegError: the file is no whole video.
        """
        taken = 0
        for time, picture in self._from_start():
            if taken == len(self.times):
                return
            expected = self.start_s + self.times[taken]
            if abs(time - expected) > _HALF / self.fps:
                raise Damaged(
                    f"Its video {self.file.name} shows a picture at {time:.3f} s where frame {taken} is to be at "
                    f"{expected:.3f} s: {taken} of its {len(self.times)} pictures are there."
                )
            taken += 1
            yield picture()
        _check_count(self.file, taken, len(self.times))

    def _from_start(self) -> Iterator[tuple[float, Any]]:
        first = self.start_s - _HALF / self.fps
        with open_video(self.file) as (container, stream):
            container.seek(max(int(first / stream.time_base), stream.start_time or 0), stream=stream)
            for time, picture in _pictures(container, stream):
                if time >= first:
                    yield time, picture


@dataclass(frozen=True)
class WholeVideo:
    """The first `length` pictures of a video that is one episode's."""

    file: Path
    length: int

    def __iter__(self) -> Iterator[Rgb]:
        """u8 RGB (h, w, 3), `length` times.

        Raises:
            Damaged: the video has fewer pictures, or one is not whole.
            FFmpegError: the file is no whole video.
        """
        taken = 0
        with open_video(self.file) as (container, stream):
            for _, picture in _pictures(container, stream):
                if taken == self.length:
                    return
                taken += 1
                yield picture()
        _check_count(self.file, taken, self.length)


def _check_count(file: Path, taken: int, length: int) -> None:
    if taken < length:
        raise Damaged(f"Its video {file.name} has {taken} pictures for {length} rows.")


class open_video:  # noqa: N801 - reads as a function in a with statement
    """Open an mp4 file and its first video stream; closed at the end of the block.

    The format is given, so that no other file can pose as a video and make FFmpeg open what it names.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> tuple[Any, Any]:
        self._container = av.open(str(self._file.absolute()), format="mp4")
        streams = self._container.streams.video
        if not streams:
            self._container.close()
            raise Damaged(f"Its file {self._file.name} has no video stream.")
        streams[0].thread_type = "AUTO"
        return self._container, streams[0]

    def __exit__(self, *_: object) -> None:
        self._container.close()


def _pictures(container: Any, stream: Any) -> Iterator[tuple[float, Any]]:
    """Time in s of each frame, and what makes its picture: what is passed over is not turned into RGB.

    One reformatter for all frames: PyAV's `to_ndarray` sets one up for each, which takes four times as long.

    Raises:
        Damaged: FFmpeg has made up a part of a picture that it could not read, as it does for H.264 without a word. The
            pictures after it build on it, so that one that is passed over counts, too.
    """
    reformatter = VideoReformatter()
    for frame in container.decode(stream):
        if frame.pts is None:
            continue
        time = float(frame.pts * stream.time_base)
        if frame.is_corrupt:
            raise Damaged(
                f"Its video {Path(container.name).name} is damaged: the picture at {time:.3f} s is not whole."
            )
        yield time, lambda frame=frame: _rgb(reformatter, frame)


def _rgb(reformatter: VideoReformatter, frame: Any) -> Rgb:
    return np.asarray(reformatter.reformat(frame, format="rgb24").to_ndarray(), np.uint8)


def look_at(file: Path, times: npt.NDArray[np.float64], fps: float, where: str) -> list[Finding]:
    """What is odd about an episode's own video, from its packets alone: nothing is decoded.

    Raises:
        Damaged: the video has fewer frames than there are rows.
        FFmpegError: the file is no whole video.
    """
    with open_video(file) as (container, stream):
        shown = sorted(p.pts * stream.time_base for p in container.demux(stream) if p.pts is not None and p.size)
    if len(shown) < len(times):
        raise Damaged(f"Its video {file.name} has {len(shown)} pictures for {len(times)} rows.")
    findings = []
    if len(shown) > len(times):
        what = "its video has more pictures than there are rows: the first are taken"
        findings.append(Finding("suspicious", f"{where}: {file.name}, {len(shown)} for {len(times)}", what))
    seconds = np.array([float(time - shown[0]) for time in shown[: len(times)]])
    if len(times) and np.abs(seconds - times).max() > _HALF / fps:
        what = "the times of its video are not those of its rows: picture n is taken for row n"
        findings.append(Finding("suspicious", f"{where}: {file.name}", what))
    return findings


@dataclass(frozen=True)
class TablePictures:
    """The pictures of one episode in a column of Parquet: cells {bytes, path}, of which either may be empty."""

    rows: EpisodeRows
    column: str
    root: Path

    def __iter__(self) -> Iterator[bytes]:
        """Encoded pictures, T times.

        Raises:
            Damaged: a cell has neither bytes nor a file that is there.
            InputError: a cell names a file outside the dataset.
        """
        for number, cell in enumerate(self.rows.cells(self.column)):
            yield self._bytes(cell, number)

    def _bytes(self, cell: Any, number: int) -> bytes:
        data, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
        if isinstance(data, bytes):
            return data
        if not isinstance(path, str):
            raise Damaged(f"Frame {number} of {self.column} has no picture.")
        try:
            return (self.root / confined(path)).read_bytes()
        except OSError as error:
            raise Damaged(f"Frame {number} of {self.column} is the file {path}, which is not there.") from error
