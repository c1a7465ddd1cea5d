from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pvla.datasets import jpeg
from pvla.datasets.sampling.augment import Look, color_matrix
from pvla.datasets.sampling.pictures import ERRORS, inner_size, picture, shown
from pvla.datasets.schema import ImageCoding

from .conftest import scene

FINE = ImageCoding(quality=98)


def encoded(rgb: np.ndarray) -> bytes:
    return jpeg.encode(rgb, FINE)


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, np.full_like(x, 90)], axis=-1).astype(np.uint8)


def exact(rgb: np.ndarray, size: int) -> np.ndarray:
    """The whole at its full size, scaled by Pillow's box filter."""
    return np.asarray(Image.fromarray(rgb).resize((size, size), Image.Resampling.BOX)).astype(float)


@pytest.mark.parametrize("side", [64, 128, 200, 256, 500])
def test_a_square_picture_is_scaled_as_a_whole(side: int) -> None:
    small = picture(encoded(smooth(side, side)), 64)
    assert small.shape == (64, 64, 3)
    assert small.dtype == np.uint8
    assert np.abs(small - exact(smooth(side, side), 64)).max() < 6


def test_letterbox_shows_everything_between_black_bars() -> None:
    rgb = smooth(480, 640)
    small = picture(encoded(rgb), 224)
    assert not small[:28].any()
    assert not small[-28:].any()
    assert small[28:-28].any(axis=2).all()
    assert small[100, 0, 0] < 4
    assert small[100, -1, 0] > 251


def test_crop_shows_the_middle() -> None:
    small = picture(encoded(smooth(480, 640)), 224, "crop")
    assert small[:, :, 2].min() > 80
    assert small[100, 0, 0] == pytest.approx(255 * 80 / 640, abs=3)
    assert small[100, -1, 0] == pytest.approx(255 * 560 / 640, abs=3)


@pytest.mark.parametrize("shape", [(1, 640), (640, 1), (3, 5)])
def test_odd_shapes(shape: tuple[int, int]) -> None:
    for fit in ("crop", "letterbox"):
        assert picture(encoded(smooth(*shape)), 32, fit).shape == (32, 32, 3)


def test_a_part_is_where_it_was_in_the_whole() -> None:
    rgb = smooth(480, 640)
    small = picture(encoded(rgb), 100, "crop", Look((0.5, 0.25, 1.0, 0.75))).astype(float)
    assert shown(640, 480, "crop", Look((0.5, 0.25, 1.0, 0.75))) == (320.0, 120.0, 560.0, 360.0)
    assert small[50, 0, 0] == pytest.approx(255 * 320 / 640, abs=3)
    assert small[50, -1, 0] == pytest.approx(255 * 560 / 640, abs=3)
    assert small[0, 50, 1] == pytest.approx(255 * 120 / 480, abs=3)
    assert small[-1, 50, 1] == pytest.approx(255 * 360 / 480, abs=3)


def test_colors_are_mapped_by_the_matrix() -> None:
    rgb = smooth(64, 64)
    matrix = color_matrix(1.1, 0.9, 0.8, 0.03)
    plain = picture(encoded(rgb), 64).astype(float)
    table = np.array(matrix).reshape(3, 4)
    expected = np.clip(plain @ table[:, :3].T + table[:, 3], 0, 255)
    assert np.abs(picture(encoded(rgb), 64, look=Look(colors=matrix)) - expected).max() <= 1


def test_bars_stay_black_whatever_the_colors() -> None:
    small = picture(encoded(smooth(48, 64)), 64, look=Look(colors=color_matrix(1.2, 0.5, 1, 0)))
    assert not small[:8].any()


def test_gray_jpeg_is_read_as_rgb() -> None:
    buffer = io.BytesIO()
    Image.fromarray(scene(64, 64, 0, 0)[:, :, 0]).save(buffer, "JPEG")
    small = picture(buffer.getvalue(), 16)
    assert (small[..., 0] == small[..., 1]).all()


@pytest.mark.parametrize("cut", [0, 10, 300, -200])
def test_bytes_that_are_no_whole_picture_are_refused(cut: int) -> None:
    with pytest.raises(ERRORS):
        picture(encoded(scene(480, 640, 9, 1))[:cut], 32)


def test_inner_size() -> None:
    assert inner_size(640, 480, 224, "letterbox") == (224, 168)
    assert inner_size(480, 640, 224, "letterbox") == (168, 224)
    assert inner_size(640, 480, 224, "crop") == (224, 224)
    assert inner_size(1000, 1, 16, "letterbox") == (16, 1)
