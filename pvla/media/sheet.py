"""Contact sheets: many small pictures with captions on one page."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from pvla.media import style

_GAP = 12
_CAPTION = 22


def contact_sheet(
    frames: Sequence[npt.NDArray[np.uint8]],
    captions: Sequence[str],
    columns: int,
    cell_width: int = 200,
    title: str = "",
) -> Image.Image:
    """Lay pictures out in rows.

    Args:
        frames: pictures (h, w, 3) u8, of any sizes; each is scaled to `cell_width` columns.
        captions: one a picture, written below it; too long ones are cut.
        columns: pictures in a row.
        cell_width: columns of each picture, px.
        title: written above them all.

    Returns:
        An RGB picture.

    Raises:
        ValueError: no frames, or another number of captions.
    """
    if not frames or len(frames) != len(captions):
        raise ValueError(f"{len(frames)} frames with {len(captions)} captions")
    cells = [_scaled(frame, cell_width) for frame in frames]
    columns = min(columns, len(cells))
    cell_height = max(cell.height for cell in cells)
    top = _GAP + (36 if title else 0)
    rows = math.ceil(len(cells) / columns)
    size = (_GAP + columns * (cell_width + _GAP), top + rows * (cell_height + _CAPTION + _GAP))
    sheet = Image.new("RGB", size, style.DESK)
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((_GAP, 14), title, fill=style.INK, font=style.font(20), anchor="la")
    for number, (cell, caption) in enumerate(zip(cells, captions, strict=True)):
        row, column = divmod(number, columns)
        x = _GAP + column * (cell_width + _GAP)
        y = top + row * (cell_height + _CAPTION + _GAP)
        sheet.paste(cell, (x, y), style.rounded_mask(cell.size, 6))
        label = fitted(caption, cell_width, 13)
        draw.text((x + 2, y + cell_height + 4), label, fill=style.FAINT_INK, font=style.font(13), anchor="la")
    return sheet


def fitted(text: str, width: float, size: float) -> str:
    """`text`, cut with dots at its end where it is wider than `width` px at `size` px."""
    if style.text_width(text, size) <= width:
        return text
    while text and style.text_width(text + "...", size) > width:
        text = text[:-1]
    return text.rstrip() + "..."


def _scaled(frame: npt.NDArray[np.uint8], width: int) -> Image.Image:
    picture = Image.fromarray(frame)
    height = max(1, round(picture.height * width / picture.width))
    # Enlarged camera pictures keep their pixels: it shows what the network sees.
    enlarged = width >= 2 * picture.width
    return picture.resize((width, height), Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS)
