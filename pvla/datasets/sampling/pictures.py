"""One JPEG as a training picture: decoded no larger than needed, cut, scaled and colored in Pillow's C code."""

from __future__ import annotations

import io
from math import ceil
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from pvla.datasets.sampling.augment import PLAIN, Box, Look
from pvla.datasets.store import Episode
from pvla.errors import InputError

Fit = Literal["crop", "letterbox"]
"""How a picture of another shape becomes square. crop: the middle of it, what lies outside is lost. letterbox: all of
it, with black bars."""

ERRORS: Final = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What `picture` raises on bytes that are no whole JPEG image."""


def picture(data: bytes, size: int, fit: Fit = "letterbox", look: Look = PLAIN) -> npt.NDArray[np.uint8]:
    """The picture in `data`, u8 (size, size, 3).

    Pictures that are shown at half their size or less are decoded at 1/2, 1/4 or 1/8 (JPEG gives these by leaving out
    high frequencies), then scaled by a triangle filter as wide as the scale asks for.

    Raises:
        OSError, SyntaxError, ValueError, Image.DecompressionBombError: the bytes are no whole JPEG image.
    """
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        box = shown(image.width, image.height, fit, look)
        out = inner_size(image.width, image.height, size, fit)
        cut = _scaled(image, box, out)
    if look.colors is not None:
        cut = cut.convert("RGB", look.colors)
    if out == (size, size):
        return np.asarray(cut)
    framed = np.zeros((size, size, 3), np.uint8)
    left, top = (size - out[0]) // 2, (size - out[1]) // 2
    framed[top : top + out[1], left : left + out[0]] = np.asarray(cut)
    return framed


def undecodable(episode: Episode, camera: str, t: int, error: Exception) -> InputError:
    """What to raise for a frame of which `picture` has raised `error`."""
    return InputError(
        f"Episode {episode.id}: frame {t} of camera {camera} cannot be decoded ({error}); "
        "`pvla data validate` lists what is damaged."
    )


def shown(width: int, height: int, fit: Fit, look: Look) -> Box:
    """The part of a picture that is shown (left, top, right, bottom), in pixels."""
    side = min(width, height)
    whole_width, whole_height = (side, side) if fit == "crop" else (width, height)
    left, top = (width - whole_width) / 2, (height - whole_height) / 2
    part = look.part
    return (
        left + part[0] * whole_width,
        top + part[1] * whole_height,
        min(left + part[2] * whole_width, width),
        min(top + part[3] * whole_height, height),
    )


def inner_size(width: int, height: int, size: int, fit: Fit) -> tuple[int, int]:
    """(width, height) that the picture takes of (size, size)."""
    if fit == "crop":
        return size, size
    longest = max(width, height)
    return max(1, round(size * width / longest)), max(1, round(size * height / longest))


def _scaled(image: Image.Image, box: Box, out: tuple[int, int]) -> Image.Image:
    width, height = image.width, image.height
    # The smallest size of the whole at which the shown part still has `out` pixels.
    enough = (ceil(width * out[0] / (box[2] - box[0])), ceil(height * out[1] / (box[3] - box[1])))
    image.draft("RGB", (min(enough[0], width), min(enough[1], height)))
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    x, y = rgb.width / width, rgb.height / height
    reduced = (box[0] * x, box[1] * y, min(box[2] * x, rgb.width), min(box[3] * y, rgb.height))
    return rgb.resize(out, Image.Resampling.BILINEAR, box=reduced)
