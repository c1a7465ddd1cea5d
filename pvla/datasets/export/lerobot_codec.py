"""How the pictures of a camera become a video: AV1 as LeRobot's own writer has it, else H.264."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt

from pvla.datasets.export.priority import ordinary_priority
from pvla.datasets.schema import Camera
from pvla.errors import RunFault

_AV1_SMALLEST: Final = 16  # pixels a side
_COMMON: Final = {"g": "2", "crf": "30"}  # every second frame a key frame: any frame is found fast


@dataclass(frozen=True)
class Codec:
    """An encoder: FFmpeg's name for it, LeRobot's name for what it makes, pixel format, options."""

    encoder: str
    name: str
    pixels: str
    options: dict[str, str]


def codec_of(camera: Camera) -> Codec:
    """The codec for a camera's pictures.

    AV1 and H.264 halve the chroma of a picture, which needs even sides; a picture with an odd one keeps it whole.

    Raises:
        RunFault: PyAV has no encoder that could be used.
    """
    even = camera.height % 2 == 0 and camera.width % 2 == 0
    if even and min(camera.height, camera.width) >= _AV1_SMALLEST and "libsvtav1" in av.codecs_available:
        return Codec("libsvtav1", "av1", "yuv420p", {**_COMMON, "preset": "12"})
    if "libx264" in av.codecs_available:
        return Codec("libx264", "h264", "yuv420p" if even else "yuv444p", _COMMON)
    raise RunFault("PyAV has neither the AV1 encoder libsvtav1 nor the H.264 encoder libx264: install its own wheel.")


def encode(file: Path, camera: Camera, fps: float, pictures: Iterable[npt.NDArray[np.uint8]]) -> None:
    """Write u8 RGB (h, w, 3) as an mp4 video, in which picture n is shown at n / fps s.

    Raises:
        FFmpegError: the file cannot be written (an OSError, if it is the disk).
    """
    os.environ.setdefault("SVT_LOG", "1")  # the encoder would print its settings on the terminal
    with _video(file, camera, fps) as (container, stream):
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            frame.pts, frame.time_base = number, 1 / frame_rate(fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def frame_rate(fps: float) -> Fraction:
    """fps as the fraction that a video has it in."""
    return Fraction(fps).limit_denominator(10_000)


@contextmanager
def _video(file: Path, camera: Camera, fps: float) -> Iterator[tuple[Any, Any]]:
    codec = codec_of(camera)
    with av.open(str(file.absolute()), "w", format="mp4") as container:
        stream = container.add_stream(codec.encoder, rate=frame_rate(fps), options=codec.options)
        stream.width, stream.height, stream.pix_fmt = camera.width, camera.height, codec.pixels
        stream.codec_context.time_base = 1 / frame_rate(fps)
        with ordinary_priority():
            stream.codec_context.open()
        yield container, stream
