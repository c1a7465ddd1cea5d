"""Line charts of a value against time, drawn with Pillow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from pvla.media import style
from pvla.media.style import Colour

# Everything is drawn this many times larger and scaled down, which smooths lines and text.
_SCALE = 3
_TICKS = (0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600)

Values = npt.NDArray[np.floating] | Sequence[float]


@dataclass(frozen=True)
class Series:
    """One line: its name, times (T,) s, values (T,); not-a-number leaves a gap. No colour: the next of the palette."""

    label: str
    times: Values
    values: Values
    colour: Colour | None = None


@dataclass(frozen=True)
class Marks:
    """What is drawn besides the lines.

    Attributes:
        threshold: a dashed level across the chart.
        done_s: where the task was called done: a dashed upright with a tick.
        cursor_s: the present: later values are not drawn and a dot marks the lines' ends.
    """

    threshold: float | None = None
    done_s: float | None = None
    cursor_s: float | None = None


@dataclass(frozen=True)
class Axes:
    """Labels and ranges; `x_max_s` None fits the data."""

    title: str = ""
    x_label: str = "time (s)"
    y_label: str = ""
    x_max_s: float | None = None
    y_range: tuple[float, float] = (0.0, 1.0)
    text_px: float = 13.0


def draw_curve(
    series: Sequence[Series],
    size: tuple[int, int] = (900, 420),
    marks: Marks | None = None,
    axes: Axes | None = None,
) -> Image.Image:
    """Draw a chart.

    Args:
        series: the lines; none draws the empty axes.
        size: columns and rows, px.
        marks: threshold, done marker and cursor.
        axes: title, labels and ranges.

    Returns:
        An RGB picture of that size.
    """
    chart = _Chart(list(series), size, axes or Axes(), marks or Marks())
    chart.paint()
    return chart.picture.resize(size, Image.Resampling.LANCZOS)


def data_point(size: tuple[int, int], axes: Axes, x_max_s: float, time_s: float, value: float) -> tuple[float, float]:
    """Where in a chart of `size` a value at a time lies: column and row, px, of the picture that is returned."""
    frame = _Frame.of(size, axes, x_max_s)
    return frame.x(time_s) / _SCALE, frame.y(value) / _SCALE


@dataclass(frozen=True)
class _Frame:
    """The plotting area, in enlarged pixels, and the ranges it shows."""

    left: float
    top: float
    right: float
    bottom: float
    x_max: float
    y_range: tuple[float, float]

    @classmethod
    def of(cls, size: tuple[int, int], axes: Axes, x_max: float) -> _Frame:
        text = axes.text_px * _SCALE
        width, height = size[0] * _SCALE, size[1] * _SCALE
        left = text * (3.0 + (1.4 if axes.y_label else 0))
        top = text * (2.9 if axes.title else 1.0)
        bottom = height - text * (3.4 if axes.x_label else 2.0)
        return cls(left, top, width - text * 1.2, bottom, x_max, axes.y_range)

    def x(self, time_s: float) -> float:
        return self.left + (self.right - self.left) * time_s / self.x_max

    def y(self, value: float) -> float:
        low, high = self.y_range
        share = (min(max(value, low), high) - low) / (high - low)
        return self.bottom - (self.bottom - self.top) * share


@dataclass
class _Chart:
    series: list[Series]
    size: tuple[int, int]
    axes: Axes
    marks: Marks
    picture: Image.Image = field(init=False)
    draw: ImageDraw.ImageDraw = field(init=False)
    frame: _Frame = field(init=False)

    def __post_init__(self) -> None:
        self.picture = Image.new("RGB", (self.size[0] * _SCALE, self.size[1] * _SCALE), style.PAPER)
        self.draw = ImageDraw.Draw(self.picture)
        self.frame = _Frame.of(self.size, self.axes, self.axes.x_max_s or _latest(self.series))

    @property
    def text(self) -> float:
        return self.axes.text_px * _SCALE

    def paint(self) -> None:
        self._grid()
        self._labels()
        if self.marks.threshold is not None:
            self._threshold(self.marks.threshold)
        if self.marks.done_s is not None and self._shown(self.marks.done_s):
            self._done_upright(self.marks.done_s)
        for number, line in enumerate(self.series):
            self._line(line, self._colour(number))
        if self.marks.done_s is not None and self._shown(self.marks.done_s):
            self._done_tick(self.marks.done_s)
        self._legend()

    def _shown(self, time_s: float) -> bool:
        return self.marks.cursor_s is None or time_s <= self.marks.cursor_s + 1e-9

    def _colour(self, number: int) -> Colour:
        return self.series[number].colour or style.LINES[number % len(style.LINES)]

    def _grid(self) -> None:
        frame, font = self.frame, style.font(self.text)
        low, high = frame.y_range
        for value in np.linspace(low, high, 5):
            y = frame.y(value)
            self.draw.line((frame.left, y, frame.right, y), fill=style.GRID, width=_SCALE)
            label = f"{value:.3g}"
            self.draw.text((frame.left - self.text * 0.6, y), label, fill=style.FAINT_INK, font=font, anchor="rm")
        for time_s in _tick_times(frame.x_max, (frame.right - frame.left) / (self.text * 4)):
            x = frame.x(time_s)
            self.draw.line((x, frame.bottom, x, frame.bottom + self.text * 0.35), fill=style.FAINT_INK, width=_SCALE)
            position = (x, frame.bottom + self.text * 0.6)
            self.draw.text(position, f"{time_s:g}", fill=style.FAINT_INK, font=font, anchor="ma")
        self.draw.line((frame.left, frame.bottom, frame.right, frame.bottom), fill=style.FAINT_INK, width=_SCALE)

    def _labels(self) -> None:
        frame, axes = self.frame, self.axes
        if axes.title:
            position = (frame.left - self.text * 2.2, self.text * 0.8)
            self.draw.text(position, axes.title, fill=style.INK, font=style.font(self.text * 1.2), anchor="la")
        if axes.x_label:
            position = ((frame.left + frame.right) / 2, self.picture.height - self.text * 0.5)
            self.draw.text(position, axes.x_label, fill=style.FAINT_INK, font=style.font(self.text), anchor="md")
        if axes.y_label:
            self._upright_text(axes.y_label, (frame.top + frame.bottom) / 2)

    def _upright_text(self, text: str, middle: float) -> None:
        width, height = round(style.text_width(text, self.text)) + 2, round(self.text * 1.4)
        patch = Image.new("RGB", (width, height), style.PAPER)
        ImageDraw.Draw(patch).text(
            (width / 2, height / 2), text, fill=style.FAINT_INK, font=style.font(self.text), anchor="mm"
        )
        turned = patch.transpose(Image.Transpose.ROTATE_90)
        self.picture.paste(turned, (round(self.text * 0.4), round(middle - width / 2)))

    def _threshold(self, level: float) -> None:
        y = self.frame.y(level)
        self._dashes((self.frame.left, y), (self.frame.right, y), style.AMBER)
        position = (self.frame.left + self.text * 0.5, y + self.text * 0.3)
        label = f"done above {level:g}"
        self.draw.text(position, label, fill=style.AMBER, font=style.font(self.text * 0.9), anchor="la")

    def _dashes(self, start: tuple[float, float], end: tuple[float, float], colour: Colour) -> None:
        length = math.dist(start, end)
        dash, step = self.text * 0.45, self.text * 0.8
        for position in np.arange(0, length, step):
            a, b = position / length, min(position + dash, length) / length
            ends = [
                (start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share) for share in (a, b)
            ]
            self.draw.line(ends, fill=colour, width=round(1.4 * _SCALE))

    def _line(self, line: Series, colour: Colour) -> None:
        width = round(2.4 * _SCALE)
        last = None
        for run in _unbroken(line, self.marks.cursor_s):
            points = [(self.frame.x(time_s), self.frame.y(value)) for time_s, value in run]
            if len(points) > 1:
                self.draw.line(points, fill=colour, width=width, joint="curve")
            for x, y in (points[0], points[-1]):
                self._disc(x, y, width / 2, colour)
            last = points[-1]
        if last is not None and self.marks.cursor_s is not None:
            self._disc(*last, 4.6 * _SCALE, colour)
            self._disc(*last, 1.8 * _SCALE, style.PAPER)

    def _disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def _done_upright(self, time_s: float) -> None:
        x = self.frame.x(time_s)
        self._dashes((x, self.frame.bottom), (x, self.frame.top), style.GREEN)

    def _done_tick(self, time_s: float) -> None:
        x = self.frame.x(time_s)
        style.check_mark(self.draw, (x, self.frame.top), self.text * 0.62)
        label = f"done at {time_s:.1f} s"
        size = self.text * 0.9
        cramped = x - self.text < self.frame.left + style.text_width(label, size)
        # At the foot of the upright: the curve is high where a task is done.
        anchor, shift = ("ld", 0.5) if cramped else ("rd", -0.5)
        position = (x + shift * self.text, self.frame.bottom - self.text * 0.5)
        self.draw.text(position, label, fill=style.GREEN, font=style.font(size), anchor=anchor)

    def _legend(self) -> None:
        if len(self.series) < 2:
            return
        x = self.frame.right
        for number in reversed(range(len(self.series))):
            label = self.series[number].label
            x -= style.text_width(label, self.text)
            y = self.text * 1.5
            self.draw.text((x, y), label, fill=style.INK, font=style.font(self.text), anchor="lm")
            x -= self.text * 1.5
            stroke = round(3 * _SCALE)
            self.draw.line((x, y, x + self.text, y), fill=self._colour(number), width=stroke)
            x -= self.text * 1.2


def _latest(series: list[Series]) -> float:
    ends = [float(np.max(line.times)) for line in series if len(line.times)]
    return max([*ends, 1e-3])


def _tick_times(x_max: float, room: float) -> list[float]:
    step = next((tick for tick in _TICKS if x_max / tick <= max(room, 1)), x_max)
    return [float(tick) for tick in np.arange(0, x_max * (1 + 1e-9), step)]


def _unbroken(line: Series, cursor_s: float | None) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for time_s, value in zip(np.asarray(line.times), np.asarray(line.values), strict=True):
        if cursor_s is not None and time_s > cursor_s + 1e-9:
            break
        if np.isfinite(value):
            runs[-1].append((float(time_s), float(value)))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]
