"""Colours, fonts and small marks that every picture of pvla shares."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

INK: Colour = (27, 35, 48)
FAINT_INK: Colour = (107, 117, 133)
GRID: Colour = (230, 233, 238)
PAPER: Colour = (255, 255, 255)
DESK: Colour = (243, 245, 248)
GREEN: Colour = (24, 145, 88)
AMBER: Colour = (214, 118, 18)
LINES: tuple[Colour, ...] = ((36, 99, 215), (214, 84, 58), (24, 145, 88), (132, 84, 201), (187, 138, 20))


@lru_cache(maxsize=32)
def font(size: float) -> Font:
    """Pillow's built-in typeface at `size` pixels."""
    return ImageFont.load_default(size)


def text_width(text: str, size: float) -> float:
    """Columns that `text` takes at `size` pixels."""
    return float(font(size).getlength(text))


def check_mark(draw: ImageDraw.ImageDraw, centre: tuple[float, float], radius: float) -> None:
    """A white tick on a green disc."""
    x, y = centre
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=GREEN)
    tick = [
        (x - 0.45 * radius, y + 0.02 * radius),
        (x - 0.1 * radius, y + 0.38 * radius),
        (x + 0.5 * radius, y - 0.36 * radius),
    ]
    draw.line(tick, fill=PAPER, width=max(1, round(0.24 * radius)), joint="curve")


def rounded_mask(size: tuple[int, int], radius: int, scale: int = 4) -> Image.Image:
    """A mask "L" of a rectangle with smooth round corners."""
    width, height = size
    mask = Image.new("L", (width * scale, height * scale), 0)
    corners = (0, 0, width * scale - 1, height * scale - 1)
    ImageDraw.Draw(mask).rounded_rectangle(corners, radius * scale, fill=255)
    return mask.resize(size, Image.Resampling.LANCZOS)
