"""Small animated GIFs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from pvla.errors import InputError


def write_gif(
    path: Path | str,
    frames: Iterable[npt.NDArray[np.uint8]],
    fps: float,
    max_width: int = 640,
    colours: int = 256,
) -> None:
    """Write an animation that loops for ever, with one palette for all frames so that still parts cost nothing.

    Args:
        path: the file to write; its folder is made.
        frames: pictures (h, w, 3) u8, all of one size.
        fps: frames a second; GIF counts in 1/100 s.
        max_width: wider pictures are scaled down to this many columns.
        colours: size of the palette, 2 to 256; fewer make a smaller file.

    Raises:
        InputError: there are no frames.
    """
    pictures = [_scaled(Image.fromarray(frame), max_width) for frame in frames]
    if not pictures:
        raise InputError(f"cannot write {path}: the animation has no frames")
    palette = _common_palette(pictures, colours)
    # No dithering: its noise would change in every frame and defeat the compression.
    indexed = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    indexed[0].save(
        path,
        save_all=True,
        append_images=indexed[1:],
        duration=round(1000 / fps),
        loop=0,
        optimize=True,
        disposal=1,
    )


def _scaled(picture: Image.Image, max_width: int) -> Image.Image:
    if picture.width <= max_width:
        return picture
    height = round(picture.height * max_width / picture.width)
    return picture.resize((max_width, height), Image.Resampling.LANCZOS)


def _common_palette(pictures: list[Image.Image], colours: int) -> Image.Image:
    chosen = np.linspace(0, len(pictures) - 1, min(12, len(pictures))).astype(int)
    pixels = np.concatenate([np.asarray(pictures[i]).reshape(-1, 3) for i in chosen])
    # The 5 upper bits of each channel; their mean stands for the colours that share them.
    keys = (pixels.astype(np.int64) >> 3) @ np.array([1 << 10, 1 << 5, 1])
    _, group, count = np.unique(keys, return_inverse=True, return_counts=True)
    sums = [np.bincount(group.ravel(), weights=pixels[:, channel]) for channel in range(3)]
    means = (np.stack(sums, axis=1) / count[:, None]).astype(np.uint8)
    # Damped counts: else a large background takes all entries and a small bright object loses its colour.
    copies = np.ceil(count**0.4 * 4).astype(int)
    strip = Image.fromarray(np.repeat(means, copies, axis=0)[None])
    return strip.quantize(colours, method=Image.Quantize.MEDIANCUT, kmeans=4, dither=Image.Dither.NONE)
