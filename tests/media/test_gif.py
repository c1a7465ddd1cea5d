from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pvla.errors import InputError
from pvla.media.gif import write_gif


def moving_square(step):
    picture = np.full((60, 100, 3), (240, 240, 245), np.uint8)
    picture[20:40, 5 * step : 5 * step + 20] = (200, 30, 30)
    return picture


def test_an_animation_keeps_frames_colours_and_time(tmp_path):
    path = tmp_path / "deep" / "square.gif"
    write_gif(path, (moving_square(step) for step in range(10)), fps=10, max_width=50)
    with Image.open(path) as gif:
        assert gif.n_frames == 10
        assert gif.size == (50, 30)
        assert gif.info["duration"] == 100
        assert gif.info["loop"] == 0
        gif.seek(4)
        assert np.abs(np.asarray(gif.convert("RGB"))[15, 15].astype(int) - (200, 30, 30)).max() < 12


def test_an_animation_without_frames_is_refused(tmp_path):
    with pytest.raises(InputError, match="no frames"):
        write_gif(tmp_path / "none.gif", [], fps=10)


def test_a_small_bright_thing_keeps_its_colour_before_a_large_backdrop(tmp_path):
    grey = np.linspace(60, 220, 200)[None, :, None] * np.linspace(0.6, 1, 150)[:, None, None] * (0.9, 0.95, 1.0)
    picture = grey.astype(np.uint8)
    picture[70:80, 90:100] = (255, 128, 5)
    write_gif(tmp_path / "small.gif", [picture, picture], fps=10)
    with Image.open(tmp_path / "small.gif") as gif:
        shown = np.asarray(gif.convert("RGB")).astype(int)
    assert np.abs(shown[75, 95] - (255, 128, 5)).max() < 16
    assert np.abs(shown - picture).mean() < 4
