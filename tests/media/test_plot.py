from __future__ import annotations

import numpy as np
import pytest

from pvla.media import style
from pvla.media.plot import Axes, Marks, Series, data_point, draw_curve

SIZE = (400, 260)
RED = (220, 20, 20)


def near(picture, point, colour, reach=2):
    x, y = (round(value) for value in point)
    patch = np.asarray(picture)[y - reach : y + reach + 1, x - reach : x + reach + 1].astype(int)
    return (np.abs(patch - np.array(colour)).sum(axis=-1) < 60).any()


def draw(values, marks=None, axes=None):
    times = np.arange(len(values)) * 0.5
    return draw_curve([Series("p", times, values, RED)], SIZE, marks, axes)


def test_the_line_passes_where_it_should():
    values = np.array([0.0, 0.3, 0.2, 0.8, 1.0])
    picture = draw(values)
    assert picture.size == SIZE
    for time_s, value in ((0, 0), (0.25, 0.15), (1.0, 0.2), (1.25, 0.5), (2.0, 1.0)):
        assert near(picture, data_point(SIZE, Axes(), 2.0, time_s, value), RED)
        other = value + 0.35 if value < 0.5 else value - 0.35
        assert not near(picture, data_point(SIZE, Axes(), 2.0, time_s, other), RED)


def test_the_line_is_smooth():
    picture = np.asarray(draw(np.linspace(0, 1, 5)))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100


def test_nothing_is_drawn_after_the_cursor():
    values = np.full(9, 0.5)
    picture = draw(values, Marks(cursor_s=2.0))
    assert near(picture, data_point(SIZE, Axes(), 4.0, 1.5, 0.5), RED)
    assert not near(picture, data_point(SIZE, Axes(), 4.0, 2.5, 0.5), RED)


def test_a_gap_in_the_values_is_a_gap_in_the_line():
    picture = draw(np.array([0.5, 0.5, np.nan, np.nan, 0.5, 0.5]))
    assert near(picture, data_point(SIZE, Axes(), 2.5, 0.25, 0.5), RED)
    assert not near(picture, data_point(SIZE, Axes(), 2.5, 1.25, 0.5), RED)
    assert near(picture, data_point(SIZE, Axes(), 2.5, 2.25, 0.5), RED)


def test_threshold_and_done_are_marked():
    picture = np.asarray(draw(np.zeros(5), Marks(threshold=0.9, done_s=1.5))).astype(int)
    y = round(data_point(SIZE, Axes(), 2.0, 0, 0.9)[1])
    amber = (np.abs(picture[y - 2 : y + 3] - style.AMBER).sum(axis=-1) < 80).any(axis=0)
    assert amber.sum() > 100
    x = round(data_point(SIZE, Axes(), 2.0, 1.5, 0)[0])
    column = picture[:, x - 2 : x + 3]
    green = (column[..., 1] > column[..., 0] + 30).any(axis=1)
    assert green.sum() > 60


def test_done_is_not_told_before_it_happens():
    marks = Marks(done_s=1.5, cursor_s=1.0)
    green = np.abs(np.asarray(draw(np.zeros(5), marks)).astype(int) - style.GREEN).sum(axis=-1) < 30
    assert not green.any()


@pytest.mark.parametrize("values", [[], [0.4], [np.nan, np.nan]])
def test_hardly_any_data_still_makes_a_chart(values):
    assert draw(np.array(values), Marks(cursor_s=0.0)).size == SIZE


def test_lines_are_named_and_coloured_apart():
    lines = [Series(name, [0, 1], [level, level]) for name, level in (("guided", 0.2), ("plain", 0.7))]
    picture = draw_curve(lines, SIZE, axes=Axes(title="two", y_label="progress"))
    axes = Axes(title="two", y_label="progress")
    for line, colour in zip(lines, style.LINES, strict=False):
        assert near(picture, data_point(SIZE, axes, 1.0, 0.5, line.values[0]), colour)


def test_values_outside_the_range_stay_inside_the_frame():
    picture = draw(np.array([-3.0, 5.0, 5.0]))
    assert near(picture, data_point(SIZE, Axes(), 1.0, 0.75, 1.0), RED)
